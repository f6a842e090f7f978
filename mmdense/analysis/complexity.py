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
from dataclasses import asdict, dataclass, field
from unittest import mock

import torch
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass
class Count:
    """The counts of one module, with everything in it."""
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
    """Return whether ``module`` owns a convolution kernel.

    A kernel is a ``weight`` of at least three axes. Convolutions that are not
    an ``nn.Conv2d`` (deformable, adaptive dilated) are recognised by the name
    of their class.
    """
    if isinstance(module, _ConvNd):
        return True
    weight = getattr(module, 'weight', None)
    return ('Conv' in type(module).__name__ and isinstance(weight, Tensor)
            and weight.dim() > 2)


def is_linear(module: nn.Module) -> bool:
    """Return whether ``module`` owns the matrix of a linear layer.

    Layers that are not an ``nn.Linear`` (in the regression of dilation rates)
    are recognised by the name of their class.
    """
    if isinstance(module, nn.Linear):
        return True
    weight = getattr(module, 'weight', None)
    return ('Linear' in type(module).__name__ and isinstance(weight, Tensor)
            and weight.dim() == 2)


def _layer_macs(module: nn.Module, inputs: tuple,
                output: Tensor) -> tuple[int, int]:
    """Return the multiply-adds of a call: (true, by the papers' rule)."""
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
    if is_linear(module):
        macs = kernel * (inputs[0].numel() // inputs[0].shape[-1])
        return macs, macs
    source = inputs[0] if isinstance(module, _ConvTransposeNd) else output
    spatial = module.weight.dim() - 2
    positions = source.shape[-spatial:].numel()
    batch = source.shape[0] if source.dim() == spatial + 2 else 1
    return (kernel * positions * batch,
            kernel * output.shape[-spatial:].numel() * batch)


def _paper_params(module: nn.Module) -> int:
    """Return the parameters of a layer by the papers' rule.

    Only modules with a ``weight`` of their own count: a ``ConvModule`` is a
    container of the host.
    """
    kind = type(module).__name__
    named = any(word in kind for word in ('Conv', 'BatchNorm', 'Linear'))
    if not named or not isinstance(getattr(module, 'weight', None), Tensor):
        return 0
    return sum(p.numel() for p in module.parameters())


class _UnownedConvolutions(TorchDispatchMode):
    """Counter of the multiply-adds of convolutions outside any layer."""

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
    """Count parameters and multiply-adds of one forward pass.

    Args:
        model (nn.Module): Any network. Set ``eval`` and the device before.
        *args: Arguments of the forward; also keyword arguments.

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
            if (is_convolution(module) or is_linear(module)
                    or isinstance(module, nn.MultiheadAttention)):
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


def _deform_shape(weight_at: int):
    """Return an empty output of the shape that mmcv's kernel returns."""

    def forward(ctx, *args, **kwargs):
        x, offset, weight = args[0], args[1], args[weight_at]
        return x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:])

    return staticmethod(forward)


@contextlib.contextmanager
def _shapes_only(model: nn.Module):
    """Let a model run on meta tensors, which have no values.

    The deformable convolutions of mmcv and the RoI extractor of mmdetection
    return only the shape of their output. Autocast does not support meta
    tensors, so its functions are replaced.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            mock.patch.object(torch, 'autocast',
                              lambda *_, **__: contextlib.nullcontext()))
        stack.enter_context(
            mock.patch.object(torch, 'is_autocast_enabled', lambda *_: False))
        for function, weight_at in _deformable_functions():
            stack.enter_context(
                mock.patch.object(function, 'forward',
                                  _deform_shape(weight_at)))
        for module in _roi_extractors(model):
            stack.enter_context(
                mock.patch.object(module, 'forward', _roi_shape(module)))
        yield


def _deformable_functions() -> list[tuple[type, int]]:
    """Return mmcv's functions and the position of their weight argument."""
    try:
        from mmcv.ops.deform_conv import DeformConv2dFunction
        from mmcv.ops.modulated_deform_conv import (
            ModulatedDeformConv2dFunction,
        )
    except ImportError:  # no mmcv, or one without operators
        return []
    return [(DeformConv2dFunction, 2), (ModulatedDeformConv2dFunction, 3)]


def _roi_extractors(model: nn.Module) -> list[nn.Module]:
    if not hasattr(model, 'roi_head'):
        return []
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    return [m for m in model.modules() if isinstance(m, SingleRoIExtractor)]


def _roi_shape(extractor: nn.Module):
    size = extractor.roi_layers[0].output_size

    def forward(feats, rois, roi_scale_factor=None):
        return feats[0].new_empty(len(rois), extractor.out_channels, *size)

    return forward


@contextlib.contextmanager
def _fixed_proposals(model: nn.Module):
    """Give a two-stage detector as many proposals as its test_cfg allows.

    The number of proposals depends on the image, and the count would too. The
    region proposal network runs nevertheless.
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
    """Count a host's network on one image, in ``mode='tensor'``.

    A two-stage detector is counted with ``test_cfg.rpn.max_per_img``
    proposals through its box head and the first hundred of them through its
    mask head, the numbers its host's tensor mode uses at most.

    Args:
        model (nn.Module): Model of a host, in eval mode. It is moved to the
            meta device and loses its weights.
        shape (tuple[int, int]): Height and width of the image.
        channels (int): Its channels.

    Returns:
        tuple[Complexity, str]: The counts, and the device of the run: 'meta',
            or 'cpu' for a network that depends on values.
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
