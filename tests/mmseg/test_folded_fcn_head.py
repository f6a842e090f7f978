"""Section III-C: folding the labels instead of the features."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmdense.modules.rearrangement import KINDS  # noqa: E402

CLASSES, VOID = 5, 255
CROSS_ENTROPY = dict(type='CrossEntropyLoss')


def build(folded, kind='channel_shuffle', loss=CROSS_ENTROPY, **head):
    """A small FlatteNet, in either form, stride 32 down and 8 up."""
    init_default_scope('mmseg')
    head = dict(
        in_channels=2, in_index=0, num_classes=CLASSES, loss_decode=loss,
        align_corners=False, **head)
    head |= dict(type='mmdense.FoldedFCNHead', upscale=8) if folded else dict(
        type='FCNHead', channels=2, num_convs=0, kernel_size=1,
        concat_input=False, dropout_ratio=0)
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor'),
            backbone=dict(
                type='ResNet', depth=18, base_channels=16, stem_channels=16),
            neck=dict(
                type='mmdense.FlatteningNeck',
                in_channels=128,
                upscale=8,
                rearrangement=kind,
                rearrange=not folded,
                layers=[dict(groups_first=8, groups_second=16)]),
            decode_head=head,
            test_cfg=ConfigDict(mode='whole'))).double()


def pair(**options):
    """The same network in both forms."""
    torch.manual_seed(0)
    plain = build(False, **options)
    nn.init.normal_(plain.decode_head.conv_seg.weight)
    # Slopes of 1 would hide what lies before them.
    nn.init.uniform_(plain.neck.module.layers[0].activation.weight, 0, 0.5)
    folded = build(True, **options)
    folded.load_state_dict(plain.state_dict())
    return plain, folded


def batch(height=64, width=96):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 3, height, width, generator=generator).double()
    labels = torch.randint(CLASSES, (3, height, width), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = VOID
    return inputs, labels


def samples(labels):
    return [
        SegDataSample(
            gt_sem_seg=PixelData(data=label[None]),
            metainfo=dict(
                img_shape=label.shape, ori_shape=label.shape,
                pad_shape=label.shape)) for label in labels
    ]


def test_checkpoints_of_one_form_load_into_the_other():
    plain, folded = build(False), build(True)
    assert list(plain.state_dict()) == list(folded.state_dict())
    folded.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(folded.state_dict(), strict=True)


@pytest.mark.parametrize('kind', KINDS)
def test_predictions_are_equal(kind):
    plain, folded = pair(kind=kind)
    plain.eval()
    folded.eval()
    inputs, labels = batch()
    with torch.no_grad():
        logits = [m(inputs, None, mode='tensor') for m in (plain, folded)]
        pixels = [m(inputs, samples(labels), mode='predict')
                  for m in (plain, folded)]
    assert logits[0].shape == (3, CLASSES, 16, 24)
    torch.testing.assert_close(logits[1], logits[0], rtol=0, atol=1e-12)
    for one, other in zip(*pixels, strict=True):
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)


@pytest.mark.parametrize('loss, head', [
    (CROSS_ENTROPY, {}),
    (dict(CROSS_ENTROPY, avg_non_ignore=True), {}),
    (dict(type='LovaszLoss', per_image=True, reduction='mean'), {}),
    ([CROSS_ENTROPY, dict(type='DiceLoss', use_sigmoid=False)], {}),
    (CROSS_ENTROPY,
     dict(sampler=dict(type='OHEMPixelSampler', thresh=0.3, min_kept=40))),
])
def test_loss_and_gradients_are_those_of_labels_at_the_fine_size(loss, head):
    """Of the unfolded network, whose logits need no enlarging then."""
    # The host's losses want float32.
    plain, folded = (m.float() for m in pair(loss=loss, **head))
    inputs, labels = batch()
    inputs = inputs.float()
    # The pixel of the middle of 4x4: the third row and column.
    losses = [plain(inputs, samples(labels[:, 2::4, 2::4]), mode='loss'),
              folded(inputs, samples(labels), mode='loss')]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value)
    gradients = []
    for model, of in zip((plain, folded), losses, strict=True):
        sum(v for k, v in of.items() if 'loss' in k).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    largest = max(g.abs().max().item() for g in gradients[0].values())
    assert largest > 0
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(
            gradients[1][name], gradient, rtol=1e-4, atol=1e-5 * largest,
            msg=lambda m, name=name: f'{name}: {m}')


def test_cross_entropy_is_the_mean_over_the_fine_grid():
    """Equation 9 written out."""
    _, folded = pair()
    inputs, labels = batch()
    logits = folded(inputs, None, mode='tensor')
    expected = F.cross_entropy(
        logits, labels[:, 2::4, 2::4], ignore_index=VOID, reduction='sum')
    losses = folded(inputs, samples(labels), mode='loss')
    torch.testing.assert_close(
        losses['decode.loss_ce'], expected / logits[:, 0].numel())


def test_rearranged_features_are_refused():
    _, folded = pair()
    folded.neck.rearrange = True
    with pytest.raises(ValueError, match='64 x 2, got 2; .*rearrange=False'):
        folded(batch()[0], None, mode='tensor')
