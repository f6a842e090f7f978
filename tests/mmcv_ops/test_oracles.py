"""Operators that mmcv computes on CUDA only, and those where it errs."""
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from mmcv_ops_cases import answered_by, numbers, regions, with_gradients

operators = pytest.importorskip('mmcv_ops_torchvision').OPERATORS
ops = pytest.importorskip('mmcv.ops')
BOTH = pytest.mark.parametrize('dtype', [torch.float32, torch.float64])


@pytest.fixture(autouse=True)
def ours():
    with answered_by(operators):
        yield


def pool_in_loops(x, rois, cells, scale):
    """The largest pixel of every bin, from the definition."""
    height, width = x.shape[-2:]
    outputs = []
    for image, x1, y1, x2, y2 in rois.tolist():
        x1, y1, x2, y2 = (v * scale for v in (x1, y1, x2 + 1, y2 + 1))
        bins = []
        for i, j in product(*map(range, cells)):
            rows, columns = (
                [p for p in range(size)
                 if x2 > x1 and y2 > y1
                 and p + 1 > low + k * (high - low) / count
                 and p < low + (k + 1) * (high - low) / count]
                for size, low, high, k, count in ((height, y1, y2, i,
                                                   cells[0]),
                                                  (width, x1, x2, j,
                                                   cells[1])))
            part = x[int(image)][:, rows][:, :, columns].flatten(1)
            bins.append(
                part.amax(1) if part.numel() else part.new_zeros(len(part)))
        outputs.append(torch.stack(bins, 1).view(-1, *cells))
    return torch.stack(outputs)


@BOTH
def test_roi_pool_equals_loops(dtype):
    x = numbers(2, 3, 7, 9, seed=1, dtype=dtype)
    rois = regions(dtype, 6, 36, 28)
    # Outside the map; of no extent.
    rois[4, 1:] = torch.tensor([50, 50, 60, 60])
    rois[5, 1:] = torch.tensor([9, 9, 8, 20])
    got = with_gradients(lambda t: ops.roi_pool(t, rois, (2, 3), 0.25), x)
    wanted = with_gradients(lambda t: pool_in_loops(t, rois, (2, 3), 0.25), x)
    torch.testing.assert_close(got, wanted)


def test_roi_pool_of_no_region():
    got = ops.roi_pool(torch.ones(1, 2, 3, 3), torch.zeros(0, 5), 2, 1.)
    assert got.shape == (0, 2, 2, 2)


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_an_empty_region_gives_zeros(mode):
    """mmcv's maximum of nothing is -10000 on a CPU."""
    x = numbers(1, 2, 4, 4, seed=1).requires_grad_()
    rois = x.new_tensor([[0, 2, 2, 2, 2], [0, 0, 0, 4, 4]])
    out = ops.roi_align(x, rois, 2, 1., 0, mode, True)
    assert (out[0] == 0).all() and (out[1] != 0).all()
    assert torch.autograd.grad(out[0].sum(), x)[0].count_nonzero() == 0


def test_the_maximum_may_be_very_small():
    """mmcv's maximum starts at -10000 on a CPU."""
    x = torch.full((1, 1, 4, 4), -20_000.)
    rois = torch.tensor([[0., 0, 0, 4, 4]])
    out = ops.roi_align(x, rois, 2, 1., 0, 'max', True)
    torch.testing.assert_close(out, torch.full((1, 1, 2, 2), -20_000.))


def sigmoid_loss(logits, target, weight, gamma, alpha):
    p = logits.sigmoid()
    positive = F.one_hot(target, logits.shape[1] + 1)[:, :-1].bool()
    loss = torch.where(positive, -alpha * (1 - p)**gamma * p.log(),
                       -(1 - alpha) * p**gamma * (1 - p).log())
    return loss * torch.cat([weight, weight.new_ones(1)])[target][:, None]


@BOTH
@pytest.mark.parametrize('weighted', [True, False])
def test_sigmoid_focal_loss(dtype, weighted):
    logits = numbers(5, 3, seed=1, low=-4, high=4, dtype=dtype)
    # 3 is background: mmcv's kernel reads past the weights there.
    target = torch.tensor([0, 2, 3, 1, 3])
    weight = torch.tensor([.5, 2, 3], dtype=dtype)
    chosen = weight if weighted else torch.ones_like(weight)
    got = with_gradients(
        lambda t: ops.sigmoid_focal_loss(t, target, 1.5, 0.3, weight
                                         if weighted else None, 'none'),
        logits)
    wanted = with_gradients(
        lambda t: sigmoid_loss(t, target, chosen, 1.5, 0.3), logits)
    torch.testing.assert_close(got, wanted)


@BOTH
@pytest.mark.parametrize('weighted', [True, False])
def test_softmax_focal_loss(dtype, weighted):
    logits = numbers(4, 3, seed=2, low=-3, high=3, dtype=dtype)
    # -1 is no class, and no loss.
    target = torch.tensor([0, 2, -1, 1])
    weight = torch.tensor([.5, 2, 3], dtype=dtype)

    def loss(t):
        p = t.softmax(1)[range(4), target]
        each = -0.3 * (1 - p)**1.5 * p.log()
        if weighted:
            each = each * weight[target]
        return each.masked_fill(target < 0, 0).sum()

    got = with_gradients(
        lambda t: ops.softmax_focal_loss(t, target, 1.5, 0.3, weight
                                         if weighted else None, 'sum'), logits)
    torch.testing.assert_close(got, with_gradients(loss, logits))


def test_focal_losses_stay_finite_in_half_precision():
    logits = torch.tensor([[40., -40], [-40, 40]]).half().requires_grad_()
    for target in ([0, 1], [1, 0]):
        loss = ops.sigmoid_focal_loss(logits, torch.tensor(target))
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()


@BOTH
def test_multi_scale_attention_equals_mmcvs_own_python(dtype):
    shapes = torch.tensor([[3, 4], [2, 1]])
    starts = torch.tensor([0, 12])
    value = numbers(2, 14, 2, 3, seed=1, dtype=dtype)
    places = numbers(2, 5, 2, 2, 4, 2, seed=2, low=-.2, high=1.2, dtype=dtype)
    weights = numbers(2, 5, 2, 2, 4, seed=3, dtype=dtype)
    module = ops.multi_scale_deform_attn
    got = with_gradients(
        lambda *t: module.MultiScaleDeformableAttnFunction.apply(
            t[0], shapes, starts, *t[1:], 64), value, places, weights)
    wanted = with_gradients(
        lambda *t: module.multi_scale_deformable_attn_pytorch(
            t[0], shapes, *t[1:]), value, places, weights)
    torch.testing.assert_close(got, wanted)


def test_multi_scale_attention_reads_a_pixel_at_its_centre():
    value = torch.arange(6.).view(1, 6, 1, 1)
    place = torch.tensor([2.5 / 3, 1.5 / 2]).view(1, 1, 1, 1, 1, 2)
    out = operators['ms_deform_attn_forward'](
        value, torch.tensor([[2, 3]]), torch.tensor([0]), place,
        torch.ones(1, 1, 1, 1, 1), im2col_step=64)
    torch.testing.assert_close(out, torch.tensor([[[5.]]]))


def test_sync_batch_norm_of_one_process_is_batch_norm():
    x = numbers(3, 4, 5, 2, seed=1, dtype=torch.float32)
    weight, bias = (numbers(4, seed=s, dtype=torch.float32) for s in (2, 3))
    mean, var = torch.zeros(4), torch.ones(4)
    mean2, var2 = mean.clone(), var.clone()
    function = ops.sync_bn.SyncBatchNormFunction.apply
    got = with_gradients(
        lambda *t: function(t[0], mean, var, t[1], t[2], 0.1, 1e-5, None, 1,
                            'default'), x, weight, bias)
    wanted = with_gradients(
        lambda *t: F.batch_norm(t[0], mean2, var2, t[1], t[2], True, 0.1,
                                1e-5), x, weight, bias)
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close((mean, var), (mean2, var2))


def reassemble(x, masks, kernel, groups, scale):
    """CARAFE by unfolding."""
    n, c, h, w = x.shape
    windows = F.unfold(x, kernel, padding=kernel // 2).view(
        n, c * kernel**2, h, w)
    windows = F.interpolate(windows, scale_factor=scale).view(
        n, groups, c // groups, kernel**2, h * scale, w * scale)
    masks = masks.view(n, groups, 1, kernel**2, h * scale, w * scale)
    return (windows * masks).sum(3).flatten(1, 2)


@BOTH
@pytest.mark.parametrize('kernel, groups, scale', [(3, 2, 2), (5, 1, 3),
                                                   (1, 4, 1)])
def test_carafe(dtype, kernel, groups, scale):
    x = numbers(2, 4, 3, 5, seed=1, dtype=dtype)
    masks = numbers(
        2, groups * kernel**2, 3 * scale, 5 * scale, seed=2, dtype=dtype)
    wanted = with_gradients(
        lambda *t: reassemble(*t, kernel, groups, scale), x, masks)
    got = with_gradients(lambda *t: ops.carafe(*t, kernel, groups, scale), x,
                         masks)
    torch.testing.assert_close(got, wanted)
    naive = ops.carafe_naive(x.detach(), masks.detach(), kernel, groups, scale)
    torch.testing.assert_close(naive, wanted[0])


@pytest.mark.parametrize('padding', [0, 1, (2, 1)])
def test_masked_convolution_is_the_convolution_at_its_pixels(padding):
    x = numbers(1, 2, 5, 6, seed=1)
    weight, bias = numbers(3, 2, 3, 3, seed=2), numbers(3, seed=3)
    full = F.conv2d(x, weight, bias, padding=padding)
    mask = numbers(1, 5, 6, seed=4) > 0
    # Only pixels that the output has.
    mask[:, full.shape[2]:] = mask[:, :, full.shape[3]:] = False
    got = ops.masked_conv2d(x, mask, weight, bias, padding)
    kept = torch.zeros(full.shape[2:], dtype=torch.bool)
    kept[:5, :6] = mask[0][:full.shape[2], :full.shape[3]]
    torch.testing.assert_close(got, full * kept)


def test_an_overlap_equal_to_the_threshold_does_not_suppress():
    """As in mmcv, which compares in float32; 0.6 is above 0.6 in float64."""
    boxes = torch.tensor([[0., 0, 10, 10], [0, 0, 10, 6]])
    scores = torch.tensor([.9, .8])
    assert len(ops.nms(boxes, scores, 0.6)[1]) == 2
    assert len(ops.nms(boxes, scores, 0.599)[1]) == 1
    # These two suppress it.
    assert len(ops.nms_match(torch.cat([boxes, scores[:, None]], 1), .6)) == 1
    assert len(ops.soft_nms(boxes, scores, 0.6, method='naive')[1]) == 1


def test_channels_last_and_slices_are_read_as_they_are():
    """The compiled kernels refuse them."""
    x = numbers(2, 3, 8, 6, seed=1)
    rois = regions(torch.float64, 3, 24, 32)
    for mode in ('avg', 'max'):
        def function(t, mode=mode):
            return ops.roi_align(t, rois, 2, 0.25, 2, mode)
        wanted = with_gradients(function, x.clone())
        got = with_gradients(function,
                             x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(got, wanted)
