"""Any arguments for the parts of detectors."""
import math

import numpy as np
import pytest
import torch
from any_arguments import (
    FLAG,
    SEED,
    arguments,
    attempt,
    close,
    profile,
    tensor,
)
from any_registered import WIDTH, WRONG, any_arguments_of, assert_alone
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip('mmdet')


@any_arguments_of(
    'MultinomialMaskHead', num_classes=WIDTH, class_agnostic=st.just(False),
    host=dict(
        in_channels=WIDTH, conv_out_channels=WIDTH,
        num_convs=st.integers(1, 2)))
def test_multinomial_mask_head(head, given, seed):
    x = tensor((2, given['in_channels'], 3, 4), seed)
    whole = head(x)
    assert whole.shape == (2, given['num_classes'] + 1, 6, 8)
    assert_alone(lambda maps: head(*maps), [x], whole)


@any_arguments_of('EfficientNetLite', host=dict(out_indices=st.lists(
    st.integers(0, 2), min_size=1, max_size=3, unique=True)))
def test_efficientnet_lite(net, given, seed):
    x = tensor((2, 3, 33, 40), seed)
    maps = net.eval()(x)
    assert [len(m[0]) for m in maps] == [
        (32, 16, 24)[k] for k in sorted(given['out_indices'])]
    assert_alone(lambda maps: net(*maps)[-1], [x], maps[-1])


def boxes(rng, number=4):
    corners = np.sort(rng.uniform(0, 31, (number, 2, 2)), 1)
    return torch.from_numpy(np.concatenate(
        [np.zeros((number, 1)), corners.reshape(number, 4)], 1)).float()


@any_arguments_of(
    'QuantizingRoIExtractor', roi_layer=st.one_of(
        st.builds(lambda n: dict(type='RoIPool', output_size=n), WIDTH),
        st.builds(
            lambda n, mode: dict(type='RoIWarp', output_size=n,
                                 pool_mode=mode, sampling_ratio=2),
            WIDTH, st.sampled_from(['avg', 'max']))),
    host=dict(out_channels=st.just(2), featmap_strides=st.just([4, 8])))
def test_quantizing_roi_extractor(extractor, given, seed):
    feats = [tensor((1, 2, 8, 9), seed), tensor((1, 2, 4, 5), seed)]
    rois = boxes(np.random.default_rng(seed))
    out = extractor(feats, rois)
    assert torch.isfinite(out).all()
    # So small as these, all are of the finest map.
    close(out, extractor.roi_layers[0](feats[0], rois))


def naive_pool(x, roi, bins, scale):
    """The largest of each bin's pixels, 0 where there is none."""
    left, top, right, bottom = (
        math.floor(v * scale + 0.5) for v in roi[1:].tolist())
    out = torch.zeros(x.shape[1], *bins)
    for i, j in np.ndindex(*bins):
        rows, columns = (
            range(max(0, start + math.floor(k * size / n)),
                  min(end, start + math.ceil((k + 1) * size / n)))
            for k, n, start, size, end in (
                (i, bins[0], top, bottom - top + 1, x.shape[2]),
                (j, bins[1], left, right - left + 1, x.shape[3])))
        if rows and columns:
            out[:, i, j] = x[0][:, rows][:, :, columns].amax((1, 2))
    return out


@settings(profile)
@given(
    FLAG,
    arguments(WRONG, output_size=st.one_of(WIDTH, st.tuples(WIDTH, WIDTH)),
              spatial_scale=st.sampled_from([1, 0.5, 0.25])),
    arguments(WRONG, sampling_ratio=st.integers(0, 2),
              pool_mode=st.sampled_from(['avg', 'max'])), SEED)
def test_boxes_are_rounded_to_whole_pixels(pool, case, more, seed):
    from mmdense.mmdet.quantizing_roi_extractor import RoIPool, RoIWarp
    given, spoilt = case
    if pool:
        layer = attempt(RoIPool, case)
    else:
        assume(not (spoilt and more[1]))  # one at a time
        layer = attempt(RoIWarp, (given | more[0], spoilt or more[1]))
    if layer is None:
        return
    x = tensor((1, 2, 12, 13), seed)
    scale = given['spatial_scale']
    rois = boxes(np.random.default_rng(seed)) * 0.25 / scale
    out = layer(x, rois)
    corners = (rois * scale + 0.5).floor() / scale
    close(out, layer(x, torch.cat([rois[:, :1], corners[:, 1:]], 1)))
    if pool:
        for roi, found in zip(rois, out, strict=True):
            close(found, naive_pool(x, roi, layer.output_size, scale))
