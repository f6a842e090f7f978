"""U-Net as mmseg trains and tests it."""
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmseg')

from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

DEPTH, CONTEXT = 1, 8


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(tile=(28, 34), **head):
    torch.manual_seed(0)
    head.setdefault('loss_decode', dict(type='CrossEntropyLoss'))
    return MODELS.build(
        dict(
            type='mmdense.OverlapTileSegmentor',
            data_preprocessor=dict(
                type='SegDataPreProcessor',
                mean=[100.],
                std=[50.],
                size=(22, 26)),
            backbone=dict(
                type='mmdense.ValidUNet',
                in_channels=1,
                base_channels=4,
                depth=DEPTH,
                dropout=0.),
            decode_head=dict(
                type='mmdense.ValidConvHead',
                in_channels=4,
                num_classes=2,
                **head),
            test_cfg=dict(tile=tile)))


def samples(size=(22, 26), weights=True, number=2):
    generator = torch.Generator().manual_seed(1)
    batch = []
    for _ in range(number):
        label = torch.randint(0, 2, (1, *size), generator=generator)
        data = SegDataSample(
            gt_sem_seg=PixelData(data=label),
            metainfo=dict(img_shape=size, ori_shape=size))
        if weights:
            data.gt_weight_map = PixelData(
                data=torch.rand(1, *size, generator=generator) + 0.5)
        batch.append(data)
    return batch


@pytest.mark.parametrize('weighted', [False, True])
def test_the_loss_is_the_energy_over_the_middle_of_the_label(weighted):
    model = build(weighted=weighted)
    batch, image = samples(), torch.randn(2, 1, 22, 26)
    losses = model.loss(image, batch)
    logits = model(image, mode='tensor')
    assert logits.shape == (2, 2, 6, 10)
    energy = 0
    for n, data in enumerate(batch):
        for y in range(6):
            for x in range(10):
                at = (0, y + CONTEXT, x + CONTEXT)
                p = logits[n, :, y, x].exp() / logits[n, :, y, x].exp().sum()
                w = data.gt_weight_map.data[at] if weighted else 1
                energy = energy - w * p[data.gt_sem_seg.data[at]].log()
    torch.testing.assert_close(losses['decode.loss_ce'], energy / 120)
    labels = torch.stack([d.gt_sem_seg.data[0, 8:-8, 8:-8] for d in batch])
    right = (logits.argmax(1) == labels).float().mean()
    torch.testing.assert_close(losses['decode.acc_seg'][0], 100 * right)


def test_several_losses_are_added_by_name():
    loss = dict(type='CrossEntropyLoss')
    one = build(loss_decode=loss)
    three = build(loss_decode=[loss, dict(loss, loss_weight=2.)])
    batch, image = samples(weights=False), torch.randn(2, 1, 22, 26)
    torch.testing.assert_close(
        three.loss(image, batch)['decode.loss_ce'],
        3 * one.loss(image, batch)['decode.loss_ce'])


def test_a_weight_map_of_another_size_is_refused():
    batch = samples()
    for data in batch:
        del data.gt_weight_map
        data.gt_weight_map = PixelData(data=torch.ones(1, 20, 26))
    with pytest.raises(ValueError, match=r'\(2, 22, 26\), got \(2, 20, 26\)'):
        build(weighted=True).loss(torch.randn(2, 1, 22, 26), batch)


def test_weights_pass_the_preprocessor_into_the_gradient():
    model = build(weighted=True).train()
    data = dict(
        inputs=[torch.randint(0, 255, (1, 22, 26)) for _ in range(2)],
        data_samples=samples())
    data = model.data_preprocessor(data, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('weighted', [False, True])
def test_a_crop_larger_than_the_mirrored_image_is_refused(weighted):
    """mmseg fills it up with zeros, which the network takes for image."""
    model = build(weighted=weighted).train()
    data = dict(
        inputs=[torch.zeros(1, 20, 26), torch.zeros(1, 22, 26)],
        data_samples=[
            *samples((20, 26), number=1), *samples((22, 26), number=1)
        ])
    data = model.data_preprocessor(data, training=True)
    with pytest.raises(ValueError, match=r'at least \(22, 26\), got '
                       r'\(20, 26\).*MirrorPad.*crop_size'):
        model(**data, mode='loss')


@pytest.mark.parametrize('name, values', [('mean', [1., 2., 3.]),
                                          ('std', [1., 2.])])
def test_mean_and_std_must_be_of_the_images_channels(name, values):
    given = dict(mean=[100.], std=[50.])
    given[name] = values
    with pytest.raises(ValueError, match=f'{name} must have one number for '
                       'each of the 1 channels'):
        MODELS.build(
            dict(
                type='mmdense.OverlapTileSegmentor',
                data_preprocessor=dict(type='SegDataPreProcessor', **given),
                backbone=dict(
                    type='mmdense.ValidUNet', in_channels=1, base_channels=4,
                    depth=1),
                decode_head=dict(
                    type='mmdense.ValidConvHead', in_channels=4,
                    num_classes=2)))


@pytest.mark.parametrize('size', [(12, 12), (41, 53), (5, 70)])
def test_prediction_has_the_images_size_and_no_seams(size):
    small, large = build(tile=(22, 26)).eval(), build(tile=(30, 60)).eval()
    image = torch.randn(1, 1, *size)
    with torch.no_grad():
        (a, ), (b, ) = small.predict(image), large.predict(image)
        padded = np.pad(
            image.numpy(), [(0, 0), (0, 0), (CONTEXT, 20), (CONTEXT, 20)],
            mode='reflect')
        height, width = ((side - 2) // 2 * 2 for side in padded.shape[2:])
        logits = small(
            torch.from_numpy(padded[..., :height, :width]), mode='tensor')
    assert a.seg_logits.shape == a.pred_sem_seg.shape == size
    torch.testing.assert_close(
        a.seg_logits.data, b.seg_logits.data, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        a.seg_logits.data, logits[0, :, :size[0], :size[1]], rtol=0,
        atol=1e-5)
    assert torch.equal(a.pred_sem_seg.data[0], a.seg_logits.data.argmax(0))


def test_a_backbone_that_says_not_what_it_loses_is_refused():
    with pytest.raises(ValueError, match='backbone must .*context.* ResNet'):
        MODELS.build(
            dict(
                type='mmdense.OverlapTileSegmentor',
                backbone=dict(
                    type='ResNetV1c', depth=18, stem_channels=4,
                    base_channels=4),
                decode_head=dict(
                    type='mmdense.ValidConvHead',
                    in_channels=32,
                    num_classes=3)))


def test_another_segmentor_may_not_stretch_the_middle_over_the_image():
    model = build()
    with pytest.raises(NotImplementedError, match='OverlapTileSegmentor'):
        model.encode_decode(
            torch.zeros(1, 1, 22, 26), [dict(img_shape=(22, 26))])


def test_predictions_of_a_test_step_keep_the_label_of_the_sample():
    model = build().eval()
    data = dict(
        inputs=[torch.randint(0, 255, (1, 31, 45))],
        data_samples=samples((31, 45), number=1))
    label = data['data_samples'][0].gt_sem_seg.data.clone()
    with torch.no_grad():
        (out, ) = model.test_step(data)
    assert out.seg_logits.shape == (31, 45)
    assert torch.equal(out.gt_sem_seg.data, label)


def test_initial_values_survive_mmengines():
    model = MODELS.build(
        dict(
            type='mmdense.OverlapTileSegmentor',
            backbone=dict(
                type='mmdense.ValidUNet', base_channels=16, depth=2),
            decode_head=dict(
                type='mmdense.ValidConvHead', in_channels=16, num_classes=2)))
    model.init_weights()
    net = model.backbone.net
    for conv, inputs in ((net.down[2][0], 9 * 32), (net.up[1][2], 9 * 16),
                         (net.up_convs[0], 64),
                         (model.decode_head.conv_seg, 16)):
        assert conv.weight.std().item() == pytest.approx(
            (2 / inputs)**0.5, rel=0.2)
        assert not conv.bias.any()


def test_learns_to_tell_two_textures():
    model = build(weighted=True).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    label = torch.zeros(1, 22, 26, dtype=torch.int64)
    label[..., 13:] = 1
    data = samples(number=1)
    data[0].gt_sem_seg.data = label
    image = 3 * label[None] + torch.randn(1, 1, 22, 26)
    first = None
    for _ in range(40):
        losses = model.loss(image, data)
        first = first or losses['decode.loss_ce'].item()
        optimizer.zero_grad()
        losses['decode.loss_ce'].backward()
        optimizer.step()
    assert losses['decode.loss_ce'].item() < 0.3 * first
