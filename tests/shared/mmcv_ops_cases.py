"""Small calls of mmcv's operators, answered by one module or the other.

``python tests/shared/mmcv_ops_cases.py`` with a compiled mmcv records what
it answers in ``tests/mmcv_ops/recorded.npz``.
"""
import contextlib
import importlib
import pkgutil
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

RECORDED = Path(__file__).parents[1] / 'mmcv_ops' / 'recorded.npz'


@contextlib.contextmanager
def answered_by(functions):
    """mmcv.ops calls ``functions`` (name: function) while this lasts."""
    import mmcv.ops
    modules = [
        importlib.import_module(f'mmcv.ops.{found.name}')
        for found in pkgutil.iter_modules(mmcv.ops.__path__)
    ]
    before = {
        module: module.ext_module
        for module in modules if hasattr(module, 'ext_module')
    }
    try:
        for module in before:
            module.ext_module = SimpleNamespace(**functions)
        yield
    finally:
        for module, extension in before.items():
            module.ext_module = extension


def compiled_operators():
    """The compiled mmcv's operators by name, None where it is not here."""
    try:
        extension = importlib.import_module('mmcv._ext')
    except ImportError:
        return None
    return None if hasattr(extension, 'STAND_IN') else vars(extension)


def numbers(*shape, seed, low=-1., high=1., dtype=torch.float64):
    """The same numbers on every torch: hashed in integers."""
    n = int(np.prod(shape))
    k = torch.arange(n, dtype=torch.int64) + 100_003 * seed + 1
    for factor in (0x45d9f3b, 0x119de1f3):
        k = (k ^ (k >> 16)) * factor % 2**32
    unit = (k ^ (k >> 16)).to(torch.float64) / 2**32
    return (low + (high - low) * unit).reshape(shape).to(dtype)


def with_gradients(function, *inputs):
    """What function gives, and the gradients of its inputs."""
    leaves = [t.requires_grad_() for t in inputs]
    output = function(*leaves)
    direction = numbers(*output.shape, seed=99, dtype=output.dtype)
    return output.detach(), *torch.autograd.grad(output, leaves, direction)


CONVOLUTIONS = dict(
    plain=dict(size=(1, 2, 5, 4), out=3),
    uneven=dict(
        size=(2, 4, 7, 9), out=6, kernel=(3, 2), stride=(2, 1), padding=(1, 2),
        dilation=(1, 2), groups=2, deform_groups=2),
    depthwise=dict(
        size=(2, 3, 5, 7), out=3, groups=3, deform_groups=3, padding=(0, 1)),
    # As a network starts: samples on pixels, and one pixel outside.
    still=dict(
        size=(1, 2, 4, 5), out=2, kernel=(2, 3), padding=(1, 2), reach=0),
    still_strided=dict(
        size=(1, 2, 5, 4), out=2, stride=(2, 1), dilation=(1, 2),
        padding=(1, 3), reach=0),
    far=dict(size=(2, 2, 3, 5), out=2, padding=(1, 1), reach=6),
)


def convolution_inputs(dtype, size, out, kernel=(3, 3), stride=(1, 1),
                       padding=(1, 1), dilation=(1, 1), groups=1,
                       deform_groups=1, reach=2):
    """(input, offset, mask, weight, bias) and the call's numbers."""
    n, channels, *image = size
    cells = [(edge + 2 * p - d * (k - 1) - 1) // s + 1 for edge, p, d, k, s in
             zip(image, padding, dilation, kernel, stride, strict=True)]
    window = deform_groups * kernel[0] * kernel[1]
    tensors = (
        numbers(*size, seed=1, dtype=dtype),
        numbers(n, 2 * window, *cells, seed=2, low=-reach, high=reach,
                dtype=dtype),
        numbers(n, window, *cells, seed=3, low=0, dtype=dtype),
        numbers(out, channels // groups, *kernel, seed=4, dtype=dtype),
        numbers(out, seed=5, dtype=dtype),
    )
    return tensors, (stride, padding, dilation, groups, deform_groups)


def deform_conv(dtype, im2col_step=32, **options):
    from mmcv.ops import deform_conv2d
    (x, offset, _, weight, _), rest = convolution_inputs(dtype, **options)
    return with_gradients(
        lambda *t: deform_conv2d(*t, *rest, False, im2col_step), x, offset,
        weight)


def modulated_deform_conv(dtype, biased=True, **options):
    from mmcv.ops import modulated_deform_conv2d
    tensors, rest = convolution_inputs(dtype, **options)
    if not biased:
        return with_gradients(
            lambda *t: modulated_deform_conv2d(*t, None, *rest), *tensors[:4])
    return with_gradients(lambda *t: modulated_deform_conv2d(*t, *rest),
                          *tensors)


def boxes_in(width, height, count, seed, dtype=torch.float64):
    """(x1, y1, x2, y2), some reaching out of the image."""
    size = torch.tensor([width, height], dtype=dtype)
    first = numbers(count, 2, seed=seed, low=-.2, high=.9, dtype=dtype) * size
    extent = numbers(count, 2, seed=seed + 1, low=.05, high=.6, dtype=dtype)
    return torch.cat([first, first + extent * size], 1)


def regions(dtype, count, width=60, height=44):
    image = torch.arange(count, dtype=dtype) % 2
    return torch.cat(
        [image[:, None], boxes_in(width, height, count, 7, dtype)], 1)


def roi_align(dtype, mode, aligned, ratio, count=5):
    from mmcv.ops import roi_align as function
    features = numbers(2, 3, 11, 15, seed=6, dtype=dtype)
    rois = regions(dtype, count)
    return with_gradients(
        lambda x: function(x, rois, (2, 3), 0.25, ratio, mode, aligned),
        features)


def psa_mask(dtype, psa_type, size):
    from mmcv.ops import PSAMask
    function = PSAMask(psa_type, size)
    return with_gradients(
        function, numbers(2, size[0] * size[1], 2, 5, seed=8, dtype=dtype))


def scored_boxes(dtype, count=40):
    boxes = boxes_in(50, 40, count, 9, dtype)
    # Few scores, but none twice in a row of equals mmcv may order freely.
    return boxes, numbers(count, seed=11, low=0, dtype=dtype)


def nms(dtype, count=40, **options):
    from mmcv.ops import nms as function
    return function(*scored_boxes(dtype, count), 0.3, **options)


def batched_nms(dtype):
    from mmcv.ops import batched_nms as function
    boxes, scores = scored_boxes(dtype)
    return function(boxes, scores, torch.arange(len(boxes)) % 3,
                    dict(type='nms', iou_threshold=0.3))


def soft_nms(dtype, method, offset=0, ties=False, count=40):
    from mmcv.ops import soft_nms as function
    boxes, scores = scored_boxes(dtype, count)
    if ties:
        scores = (scores * 4).ceil() / 4
    return function(boxes, scores, 0.3, 0.5, 0.2, method, offset)


def nms_match(dtype):
    from mmcv.ops import nms_match as function
    boxes, scores = scored_boxes(dtype)
    groups = function(torch.cat([boxes, scores[:, None]], 1), 0.2)
    lengths = torch.tensor([len(group) for group in groups])
    return torch.cat(groups), lengths


def bbox_overlaps(dtype, mode, aligned, offset, count=4):
    from mmcv.ops import bbox_overlaps as function
    first = boxes_in(50, 40, count, 12, dtype)
    second = boxes_in(50, 40, count if aligned else 3, 14, dtype)
    return function(first, second, mode, aligned, offset),


BOTH = (torch.float32, torch.float64)
# mmcv reads its boxes as float32 whatever they are.
SINGLE = (torch.float32, )
# name: (function, its options, dtypes)
CASES = {}


def case(function, dtypes=BOTH, **options):
    words = [
        value if isinstance(value, str) else f'{name} {value}'
        for name, value in options.items() if name not in ('size', 'out')
    ]
    CASES[' '.join([function.__name__, *words])] = function, options, dtypes


for label, options in CONVOLUTIONS.items():
    CASES[f'deform_conv {label}'] = deform_conv, options, BOTH
    CASES[f'modulated_deform_conv {label}'] = (modulated_deform_conv, options,
                                               BOTH)
CASES['deform_conv step'] = deform_conv, dict(
    size=(4, 2, 3, 5), out=2, im2col_step=2), BOTH
# Version 1 wants an image that is not smaller than its kernel.
CASES['modulated_deform_conv one_pixel'] = modulated_deform_conv, dict(
    size=(1, 2, 1, 1), out=2, reach=1), BOTH
CASES['modulated_deform_conv unbiased'] = modulated_deform_conv, dict(
    size=(2, 2, 3, 5), out=2, biased=False), BOTH
for mode, aligned, ratio in product(('avg', 'max'), (True, False), (0, 2)):
    case(roi_align, mode=mode, aligned=aligned, ratio=ratio)
case(roi_align, mode='avg', aligned=True, ratio=0, count=0)
case(roi_align, mode='max', aligned=True, ratio=0, count=0)
for kind, window in product(('collect', 'distribute'),
                            ((3, 3), (7, 5))):
    CASES[f'psa_mask {kind} {window}'] = psa_mask, dict(
        psa_type=kind, size=window), BOTH
case(nms, SINGLE)
case(nms, SINGLE, offset=1)
case(nms, SINGLE, score_threshold=0.3, max_num=5)
case(nms, SINGLE, count=0)
case(nms, SINGLE, count=1)
case(batched_nms, SINGLE)
for method in ('naive', 'linear', 'gaussian'):
    case(soft_nms, SINGLE, method=method)
    case(soft_nms, SINGLE, method=method, offset=1, ties=True)
case(soft_nms, SINGLE, method='linear', count=0)
case(nms_match, SINGLE)
for mode, aligned, offset in product(('iou', 'iof'), (True, False), (0, 1)):
    case(bbox_overlaps, mode=mode, aligned=aligned, offset=offset)
case(bbox_overlaps, mode='iou', aligned=False, offset=0, count=0)


def answer(name, dtype):
    function, options, _ = CASES[name]
    return function(dtype, **options)


def widest(name):
    return CASES[name][2][-1]


def record():
    compiled = compiled_operators()
    if compiled is None:
        raise SystemExit('this needs a compiled mmcv')
    arrays = {}
    with answered_by(compiled):
        for name in CASES:
            for i, tensor in enumerate(answer(name, widest(name))):
                array = tensor.numpy()
                if array.dtype.kind == 'f':
                    array = array.astype(np.float32)
                arrays[f'{name}/{i}'] = array
    np.savez_compressed(RECORDED, **arrays)


if __name__ == '__main__':
    record()
