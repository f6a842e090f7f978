"""Parameters and multiply-adds of a network, counted while it runs.

Two conventions, side by side:

* *true*: multiply-adds of convolutions, transposed convolutions (by their
  input positions) and linear layers, exact integers, in units of 10^9.
  Biases, norms, activations, pooling, resampling and attention products are
  left out, and so is the sampling of a deformable or adaptive dilated
  convolution: it counts as the convolution it replaces.
* *paper*: what the FlatteNet and HRNet papers printed. Weights times *output*
  positions of everything named Conv and of linear layers, in units of 2^30;
  parameters by layers named Conv, BatchNorm or Linear, with what is nested
  in such a layer counted once more.

The network runs once in ``mode='tensor'``, on the meta device where it can:
shapes only, so that a 1024x2048 image costs no more than a small one.
"""
import contextlib
import importlib.util
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode

# Before a config is read: finds the bases of the hosts' forks.
import mmdense.registry  # noqa: F401
from mmdense.config_path import config_path
from mmdense.networks.config_types import name_types, type_name

CHECKPOINTS = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors', '.onnx')
PAPER_FIGURES = Path(__file__).with_name('paper_figures.json')


@dataclass
class Count:
    """What one module, with everything inside it, amounts to."""
    params: int = 0
    macs: int = 0
    paper_params: int = 0
    paper_macs: int = 0


@dataclass
class Complexity:
    """The counts of a network.

    Attributes:
        total (Count): The whole network, parameters each counted once.
        modules (dict): Dotted module name to its :class:`Count`, in the
            order of ``named_modules``.
        idle (list[str]): Direct children that hold parameters and did not
            run (auxiliary heads, which only training uses).
        unowned_macs (int): Multiply-adds of convolutions called as a
            function, outside any layer: not in ``total``.
    """
    total: Count
    modules: dict[str, Count]
    idle: list[str] = field(default_factory=list)
    unowned_macs: int = 0


def is_convolution(module: nn.Module) -> bool:
    """Whether ``module`` owns a convolution kernel.

    A kernel is a ``weight`` of at least three axes; the class name tells it
    from other weights for the convolutions that are no ``nn.Conv2d``
    (deformable, adaptive dilated).
    """
    if isinstance(module, _ConvNd):
        return True
    weight = getattr(module, 'weight', None)
    return ('Conv' in type(module).__name__ and isinstance(weight, Tensor)
            and weight.dim() > 2)


def _layer_macs(module: nn.Module, inputs: tuple,
                output: Tensor) -> tuple[int, int]:
    """Multiply-adds of one call: (true, by the papers' rule)."""
    if isinstance(module, nn.MultiheadAttention):
        # Its projections are no layers of their own.
        weights = module.in_proj_weight
        sizes = ([weights.numel() // 3] * 3 if weights is not None else [
            module.q_proj_weight.numel(),
            module.k_proj_weight.numel(),
            module.v_proj_weight.numel()
        ])
        tokens = [x.numel() // x.shape[-1] for x in inputs[:3]]
        macs = sum(n * t for n, t in zip(sizes, tokens, strict=True))
        return macs + module.out_proj.weight.numel() * tokens[0], 0
    kernel = module.weight.numel()
    if isinstance(module, nn.Linear):
        macs = kernel * (inputs[0].numel() // inputs[0].shape[-1])
        return macs, macs
    source = inputs[0] if isinstance(module, _ConvTransposeNd) else output
    spatial = module.weight.dim() - 2
    positions = source.shape[-spatial:].numel()
    batch = source.shape[0] if source.dim() == spatial + 2 else 1
    return (kernel * positions * batch,
            kernel * output.shape[-spatial:].numel() * batch)


def _paper_params(module: nn.Module) -> int:
    """Parameters the papers' rule sees in one layer.

    Only modules with a ``weight`` of their own are asked: a container named
    ``ConvModule`` is the host's wrapping, not the papers'.
    """
    kind = type(module).__name__
    named = any(word in kind for word in ('Conv', 'BatchNorm', 'Linear'))
    if not named or not isinstance(getattr(module, 'weight', None), Tensor):
        return 0
    return sum(p.numel() for p in module.parameters())


class _UnownedConvolutions(TorchDispatchMode):
    """Multiply-adds of convolutions that run while no layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers_running = 0
        self.macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if (func is torch.ops.aten.convolution.default
                and not self.layers_running):
            x, weight, transposed = args[0], args[1], args[6]
            positions = (x if transposed else out).shape[2:].numel()
            self.macs += weight.numel() * positions * x.shape[0]
        return out


def count(model: nn.Module, *args, **kwargs) -> Complexity:
    """Counts parameters and multiply-adds of one forward pass.

    Args:
        model (nn.Module): Any network; it is run as it is (set ``eval``
            and its device before).
        *args: What the forward takes; also keyword arguments.

    Returns:
        Complexity: The counts, of the network and of each module in it. A
            layer called several times counts several times.
    """
    names = {module: name for name, module in model.named_modules()}
    own = {module: Count() for module in names}
    for module, tally in own.items():
        tally.params = sum(
            p.numel() for p in module.parameters(recurse=False))
        tally.paper_params = _paper_params(module)
    ran, loose = set(), _UnownedConvolutions()

    def before(module, inputs):
        loose.layers_running += 1

    def after(module, inputs, kwargs, output):
        loose.layers_running -= 1
        output = output if isinstance(output, Tensor) else output[0]
        inputs = inputs + tuple(kwargs.values())
        true, paper = _layer_macs(module, inputs, output)
        own[module].macs += true
        own[module].paper_macs += paper

    with contextlib.ExitStack() as hooks:
        for module in names:
            handles = [
                module.register_forward_pre_hook(lambda m, _: ran.add(m))
            ]
            if is_convolution(module) or isinstance(
                    module, nn.Linear | nn.MultiheadAttention):
                handles += [
                    module.register_forward_pre_hook(before),
                    module.register_forward_hook(after, with_kwargs=True)
                ]
            for handle in handles:
                hooks.callback(handle.remove)
        hooks.enter_context(torch.no_grad())
        hooks.enter_context(loose)
        model(*args, **kwargs)

    modules = {
        name: Count(*(sum(getattr(own[part], key) for part in m.modules())
                      for key in asdict(Count())))
        for m, name in names.items()
    }
    for module, name in names.items():
        # A weight two modules share is one weight.
        modules[name].params = sum(p.numel() for p in module.parameters())
    idle = [
        name for name, child in model.named_children()
        if modules[name].params and not any(m in ran for m in child.modules())
    ]
    return Complexity(modules.pop(''), modules, idle, loose.macs)


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name (str | Path): A path; or, of a config of mmdense, its name as
            :func:`mmdense.config_path` takes it; or a host's own,
            ``mmseg::folder/file.py``.

    Raises:
        ValueError: If there is none; the message holds the nearest ones of
            mmdense.
    """
    path = Path(name)
    if path.is_file():
        return path
    try:
        if '::' in str(name):
            host = str(name).partition('::')[0]
            # mmengine would set out to install it.
            if importlib.util.find_spec(host) is None:
                raise ModuleNotFoundError(f'{host} is not installed')
            return Path(get_config(str(name)).filename)
        if not path.is_absolute():
            return config_path(str(name))
    except FileNotFoundError as error:
        raise ValueError(f'{name}: no such config; {error}') from error
    except Exception as error:  # whatever mmengine makes of a wrong name
        raise ValueError(f'{name}: no such config: '
                         f'{type(error).__name__}: {error}') from error
    raise ValueError(f'{name}: no such config')


def load_config(name: str | Path, options: dict | None = None) -> Config:
    """Reads a config of any host, with the names of types for classes.

    Args:
        name (str | Path): Where it is, as :func:`find_config` takes it.
        options (dict, optional): Changes to it by their dotted keys, what
            ``--cfg-options`` gives.

    Raises:
        ValueError: If it is missing, is a checkpoint, does not parse, does
            not take the options, has no ``model``, or names a host that is
            not installed.
    """
    if Path(name).suffix in CHECKPOINTS:
        raise ValueError(f'{name} is a checkpoint; wants a config (.py)')
    path = find_config(name)
    try:
        config = Config.fromfile(path)
    except Exception as error:  # whatever the file's own code raises
        raise ValueError(
            f'{name} does not parse as a config: '
            f'{type(error).__name__}: {error}') from error
    try:
        config.merge_from_dict(options or {})
    except Exception as error:  # of mmengine: a key that holds no dict
        raise ValueError(f'{name} does not take the options {options}: '
                         f'{type(error).__name__}: {error}') from error
    if 'model' not in config:
        raise ValueError(f"{name} has no 'model'")
    name_types(config)
    scope = config.get('default_scope') or 'mmengine'
    if importlib.util.find_spec(scope) is None:
        raise ValueError(f"{name}: default_scope '{scope}' is no installed "
                         'package')
    return config


def build_model(config: Config) -> nn.Module:
    """Builds a config's network through its host's registry, in eval mode.

    Weights keep the values their constructors give: ``init_weights`` is not
    called, so nothing is downloaded.

    Raises:
        ValueError: If the host refuses to build it.
    """
    scope = config.get('default_scope') or 'mmengine'
    try:
        with DefaultScope.overwrite_default_scope(scope):
            return MODELS.build(config.model).eval()
    except Exception as error:  # a host's constructor may raise anything
        raise ValueError(
            'the model does not build: '
            f'{type(error).__name__}: {error}') from error


def input_shape(config: Config) -> tuple[int, int]:
    """The (height, width) a config trains at.

    Taken from the pose codec, the segmentation data preprocessor or crop
    size, or the last fixed size in the training (else the test) pipeline.

    Raises:
        ValueError: If the config says none.
    """
    head = config.model.get('head') or {}
    codec = head.get('decoder') or config.get('codec') or {}
    if isinstance(codec, list):
        codec = codec[-1]
    if codec.get('input_size'):
        width, height = codec['input_size']
        return height, width
    preprocessor = config.model.get('data_preprocessor') or {}
    for size in (preprocessor.get('size'), config.get('crop_size')):
        if size is not None:
            return (size, size) if isinstance(size, int) else tuple(size)
    multiple = preprocessor.get('pad_size_divisor') or 1
    for loader in ('train_dataloader', 'test_dataloader'):
        size = _pipeline_size((config.get(loader) or {}).get('dataset') or {})
        if size is not None:
            return tuple(-(-side // multiple) * multiple for side in size)
    raise ValueError('the config says no input size: give --shape')


def _pipeline_size(dataset: dict) -> tuple[int, int] | None:
    size = None
    if dataset.get('dataset'):
        size = _pipeline_size(dataset['dataset'])
    for step in dataset.get('pipeline') or ():
        crop, scale = step.get('crop_size'), step.get('scale')
        if _is_pair(crop):
            size = crop[0], crop[1]
        elif type_name(step).endswith('Resize') and _is_pair(scale):
            size = scale[1], scale[0]
    return size


def _is_pair(value) -> bool:
    return (isinstance(value, list | tuple) and len(value) == 2
            and all(isinstance(side, int) for side in value))


def _deform_shape(weight_at: int):
    """Stands in for a deformable kernel of mmcv: its output's shape."""

    def forward(ctx, *args, **kwargs):
        x, offset, weight = args[0], args[1], args[weight_at]
        return x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:])

    return staticmethod(forward)


@contextlib.contextmanager
def _shapes_only(model: nn.Module):
    """Lets a model pass meta tensors where a value or a kernel is wanted.

    Compiled operators of mmcv are looked up by name among what the host has
    imported already: this level knows no mmcv. Autocast cannot be so much
    as asked about, or switched off, for a meta tensor.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            mock.patch.object(torch, 'autocast',
                              lambda *_, **__: contextlib.nullcontext()))
        stack.enter_context(
            mock.patch.object(torch, 'is_autocast_enabled', lambda *_: False))
        for file, name, weight_at in (
            ('deform_conv', 'DeformConv2dFunction', 2),
            ('modulated_deform_conv', 'ModulatedDeformConv2dFunction', 3)):
            module = sys.modules.get(f'mmcv.ops.{file}')
            if module is not None:
                stack.enter_context(
                    mock.patch.object(
                        getattr(module, name), 'forward',
                        _deform_shape(weight_at)))
        for module in model.modules():
            if type(module).__name__ == 'SingleRoIExtractor':
                stack.enter_context(
                    mock.patch.object(module, 'forward', _roi_shape(module)))
        yield


def _roi_shape(extractor: nn.Module):
    size = extractor.roi_layers[0].output_size

    def forward(feats, rois, roi_scale_factor=None):
        return feats[0].new_empty(len(rois), extractor.out_channels, *size)

    return forward


@contextlib.contextmanager
def _fixed_proposals(model: nn.Module):
    """Hands a two-stage detector as many proposals as its test_cfg allows.

    How many the region proposal network finds depends on the image, and so
    would the count; its layers run all the same.
    """
    rpn = getattr(model, 'rpn_head', None)
    if rpn is None or not hasattr(model, 'roi_head'):
        yield
        return
    number = model.test_cfg.rpn.max_per_img

    def predict(x, batch_data_samples, rescale=False):
        rpn(x)
        boxes = x[0].new_zeros(number, 4)
        return [InstanceData(bboxes=boxes) for _ in batch_data_samples]

    with mock.patch.object(rpn, 'predict', predict):
        yield


def count_model(model: nn.Module,
                shape: tuple[int, int],
                channels: int = 3) -> tuple[Complexity, str]:
    """Counts a host's network on one image, in ``mode='tensor'``.

    A two-stage detector is counted with ``test_cfg.rpn.max_per_img``
    proposals through its box head and the first hundred of them through its
    mask head, the numbers its host's tensor mode uses at most.

    Args:
        model (nn.Module): A host's model, in eval mode. It is moved to the
            meta device and loses its weights.
        shape (tuple[int, int]): Height and width of the image.
        channels (int): Its channels.

    Returns:
        tuple[Complexity, str]: The counts, and the device they were taken
            on: 'meta', or 'cpu' for a network that reads values on its way.
    """
    size = dict.fromkeys(
        ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'),
        tuple(shape))
    sample = BaseDataElement(
        metainfo=dict(size, scale_factor=(1., 1.), flip=False))
    failure = None
    for device in ('meta', 'cpu'):
        if device == 'meta':
            model.to('meta')
        else:
            model.to_empty(device='cpu')
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.data.zero_()
        x = torch.zeros(1, channels, *shape, device=device)
        try:
            with _fixed_proposals(model), (
                    _shapes_only(model) if device == 'meta' else
                    contextlib.nullcontext()):
                return count(model, x, [sample], mode='tensor'), device
        except Exception as error:
            # What a network cannot do on meta tensors comes as a dozen kinds
            # of error; the second, real run tells them from a wrong shape.
            failure = error
    raise ValueError(
        f'an image of {shape[0]}x{shape[1]} does not run through the model: '
        f'{type(failure).__name__}: {failure}') from failure


def input_channels(model: nn.Module) -> int:
    """Image channels a network takes: those of its first convolution."""
    for module in model.modules():
        if isinstance(module, _ConvNd):
            return module.in_channels
    return 3


# How a paper arrived at its figures: (parameters, GFLOPs) from a Count.
CONVENTIONS = {
    'true': lambda c: (c.params / 1e6, c.macs / 1e9),
    'paper': lambda c: (c.params / 1e6, c.paper_macs / 2**30),
    'paper-layers': lambda c: (c.paper_params / 1e6, c.paper_macs / 2**30),
}


@dataclass
class Comparison:
    """One figure row of a paper beside ours.

    ``params_match`` and ``gflops_match`` tell whether ours rounds to the
    paper's printed digits; ``exact`` whether parameters equal the counted
    target to the unit and multiply-adds differ by at most 0.1 %. None where
    there is nothing to compare.
    """
    id: str
    config: str
    shape: list | None
    convention: str
    paper_params: str | None
    our_params: float
    params_match: bool | None
    paper_gflops: str | None
    our_gflops: float
    gflops_match: bool | None
    params: int
    macs: int
    exact: bool | None
    note: str


def prints_as(value: float, printed: str) -> bool:
    """Whether ``value`` rounds to the digits of ``printed``."""
    digits = len(printed.partition('.')[2])
    return f'{value:.{digits}f}' == printed


def paper_rows(configs: Path, config: Path | None = None) -> list[dict]:
    """The papers' figures that have a config.

    A row of ``paper_figures.json`` has

    * ``id`` (unique) and ``config``, a path below ``configs/``;
    * ``shape``, the (H, W) counted at; without it what the config trains at;
    * ``convention``, one of ``CONVENTIONS``: how the paper counted;
    * ``part``, the module the paper counted alone, by its dotted name;
    * ``paper_params_M`` and ``paper_gflops`` as printed, strings because
      their digits decide what a match is;
    * ``computed_params`` and ``computed_macs``, our targets, exact integers;
    * ``note``: where the paper contradicts itself.

    All but the ``id``, ``config`` and ``convention`` may be left out.

    Args:
        configs (Path): The ``configs`` folder.
        config (Path, optional): Only rows of this file.

    Returns:
        list[dict]: Rows of ``paper_figures.json``, its ``config`` now a path.
    """
    rows = json.loads(PAPER_FIGURES.read_text())
    rows = [dict(row, config=configs / row['config']) for row in rows]
    if config is None:
        return rows
    return [row for row in rows if row['config'].resolve() == config.resolve()]


def compare(row: dict, result: Complexity) -> Comparison:
    """Sets one row of a paper beside the counts of its config."""
    tally = result.modules[row['part']] if row.get('part') else result.total
    params, gflops = CONVENTIONS[row['convention']](tally)
    checks = []
    if row.get('computed_params') is not None:
        checks.append(tally.params == row['computed_params'])
    if row.get('computed_macs') is not None:
        error = abs(tally.macs - row['computed_macs'])
        checks.append(error <= 1e-3 * row['computed_macs'])
    printed_params = row.get('paper_params_M')
    printed_gflops = row.get('paper_gflops')
    return Comparison(
        id=row['id'],
        config=str(row['config']),
        shape=row.get('shape'),
        convention=row['convention'],
        paper_params=printed_params,
        our_params=params,
        params_match=printed_params and prints_as(params, printed_params),
        paper_gflops=printed_gflops,
        our_gflops=gflops,
        gflops_match=printed_gflops and prints_as(gflops, printed_gflops),
        params=tally.params,
        macs=tally.macs,
        exact=all(checks) if checks else None,
        note=row.get('note', ''))
