"""The registries of mmdense: scope ``mmdense``, children of mmengine's roots.

``type='mmdense.X'`` in a config works with nothing imported: mmengine imports
this module by its name, and a registry imports ``locations`` on first use.
Registering here also puts the bare name into mmengine's root registry, where
every host looks last, so that ``custom_imports = dict(imports=[
'mmdense.mmpose'])`` and ``type='X'`` work too.
"""
import mmengine.registry as roots
from mmengine.registry import Registry

from mmdense.checkpoints.reading import allow_mmengine_checkpoints
from mmdense.forks import find_bases_in_forks

__all__ = [
    'DATASETS', 'HOOKS', 'METRICS', 'MODELS', 'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS', 'TRANSFORMS'
]


class _SharedRegistry(Registry):
    """A registry whose entries the root registry holds too, by bare name."""

    def _register_module(self, module, module_name=None, force=False):
        super()._register_module(module, module_name, force)
        self.parent._register_module(module, module_name, force)


def _child(root: Registry) -> Registry:
    return _SharedRegistry(
        root.name,
        parent=root,
        scope='mmdense',
        locations=['mmdense.locations'])


MODELS = _child(roots.MODELS)
DATASETS = _child(roots.DATASETS)
TRANSFORMS = _child(roots.TRANSFORMS)
METRICS = _child(roots.METRICS)
HOOKS = _child(roots.HOOKS)
PARAM_SCHEDULERS = _child(roots.PARAM_SCHEDULERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(roots.OPTIM_WRAPPER_CONSTRUCTORS)

# Every way to build one of our types comes through here before a checkpoint
# is read, so `mim test` and `--resume` load what mmengine wrote.
allow_mmengine_checkpoints()
# A config's bases are read before its types are built: only who imports this
# module first, as our tools do, finds `mmseg::` in a fork.
find_bases_in_forks()
