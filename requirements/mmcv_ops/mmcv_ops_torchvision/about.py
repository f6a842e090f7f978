"""What the module says of itself when mmcv or the doctor asks."""
import torch
import torchvision

__version__ = '0.1.0'
# `mmcv._ext.STAND_IN`: there only where this package answers.
STAND_IN = f'mmcv-ops-torchvision {__version__}'


def get_compiler_version() -> str:
    """For ``mmcv.ops.get_compiler_version``: nothing was compiled."""
    return f'none ({STAND_IN}, torchvision {torchvision.__version__})'


def get_compiling_cuda_version() -> str:
    """For ``mmcv.ops.get_compiling_cuda_version``: torch's own CUDA."""
    return torch.version.cuda or 'not available'
