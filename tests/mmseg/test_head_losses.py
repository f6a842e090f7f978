"""Every head of ours takes the losses and samplers that mmseg's heads take."""
import itertools

import pytest
import torch

pytest.importorskip('mmseg')

import mmseg.models  # noqa: E402, F401
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmdense.modules.u_net import crop_center  # noqa: E402

VOID, CLASSES = 7, 3
OHEM = dict(type='OHEMPixelSampler', thresh=0.6, min_kept=3)
# What no head of mmseg's can take, and why.
NOT_FOR_HEADS = {
    'BoundaryLoss': 'of maps of boundaries; takes neither weight nor void',
    # What `view` says of a label that is not contiguous comes before that.
    'FocalLoss': 'on a CPU its target has one class of the pixels alone',
    'OhemCrossEntropy': 'takes neither weight nor void',
    'SiLogLoss': 'of depths; takes no void',
}
# What a loss needs, or has, besides its type; of one logit a pixel, too.
OPTIONS = {
    'CrossEntropyLoss': dict(avg_non_ignore=True),
    'LovaszLoss': dict(reduction='none'),
    'TverskyLoss': dict(ignore_index=VOID),
    'HuasdorffDisstanceLoss': dict(ignore_index=VOID),
}
BINARY = {
    'CrossEntropyLoss': dict(use_sigmoid=True),
    'LovaszLoss': dict(loss_type='binary'),
}
LOSSES = sorted(
    name for name, kind in MODELS.module_dict.items()
    if kind.__module__.startswith('mmseg.models.losses'))
SEVERAL = dict(in_channels=[4, 6], in_index=[0, 1])
HEADS = [
    dict(type='mmdense.ValidConvHead', in_channels=4, in_index=0),
    dict(
        type='mmdense.PyramidAttentionHead', channels=4,
        attention=dict(type='FeaturePyramidAttention', pyramid_channels=4),
        **SEVERAL),
    dict(
        type='mmdense.FCNSkipHead', in_channels=[4, 6], in_index=[0, 1],
        upsampling=[dict(factor=2, crop=0)]),
    dict(type='mmdense.HRNetV2Head', norm_cfg=dict(type='BN'), **SEVERAL),
    dict(
        type='mmdense.PointwiseASPPHead', in_channels=4, in_index=0,
        channels=4, dilations=(1, 2)),
]


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def maps():
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, c, h, w, generator=generator)
        for c, h, w in ((4, 6, 10), (6, 3, 5)))


def samples(void, classes=CLASSES, size=(10, 14)):
    generator = torch.Generator().manual_seed(1)
    batch = []
    for _ in range(2):
        label = torch.randint(0, classes, (1, *size), generator=generator)
        if void:
            label[:, :3] = VOID
        batch.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return batch


def middle(batch, logits):
    return [
        SegDataSample(gt_sem_seg=PixelData(
            data=crop_center(one.gt_sem_seg.data[None], *logits.shape[2:])[0]))
        for one in batch
    ]


def outcome(head, *inputs):
    """The losses, or the error's text."""
    try:
        return head.loss_by_feat(*inputs)
    except Exception as error:
        return repr(error)


@pytest.mark.parametrize('head', HEADS, ids=lambda head: head['type'])
@pytest.mark.filterwarnings('ignore')
def test_a_head_has_the_losses_of_mmsegs_own(head):
    works, fails = set(), []
    for classes, outputs in ((CLASSES, CLASSES), (2, 1)):
        common = dict(
            num_classes=classes, out_channels=outputs, ignore_index=VOID)
        host = dict(
            common, type='FCNHead', in_channels=4, channels=4, num_convs=0,
            concat_input=False)
        torch.manual_seed(0)
        logits = MODELS.build({**head, **common})(maps())
        for name, sampler, void in itertools.product(
                LOSSES, (None, OHEM), (False, True)):
            batch = seen = samples(void, classes)
            if head['type'] == 'mmdense.ValidConvHead':
                seen = middle(batch, logits)
            options = {**OPTIONS.get(name, {}),
                       **(BINARY.get(name, {}) if outputs == 1 else {})}
            given = dict(loss_decode=[dict(type=name, **options)],
                         sampler=sampler)
            torch.manual_seed(2)  # Hausdorff draws its classes.
            wanted = outcome(MODELS.build({**host, **given}), logits, seen)
            torch.manual_seed(2)
            got = outcome(
                MODELS.build({**head, **common, **given}), logits, batch)
            case = (f'{name}, {outputs} logits, sampler={sampler}, '
                    f'void={void}: mmseg {wanted}, here {got}')
            if isinstance(wanted, dict):
                assert isinstance(got, dict), case
                torch.testing.assert_close(got, wanted, msg=case)
                works.add(name)
            else:
                assert got == wanted, case
                fails.append(case)
    print('mmseg itself fails with', *fails, sep='\n')
    assert set(LOSSES) - works == set(NOT_FOR_HEADS), NOT_FOR_HEADS


@pytest.mark.parametrize('weighted', [False, True])
def test_ohem_reaches_the_loss_of_valid_convolutions(weighted):
    head = dict(HEADS[0], num_classes=CLASSES, ignore_index=VOID)
    batch = samples(void=True)
    generator = torch.Generator().manual_seed(2)
    for one in batch:
        one.gt_weight_map = PixelData(
            data=torch.rand(1, 10, 14, generator=generator) + 0.5)
    torch.manual_seed(0)
    plain = MODELS.build(dict(head, weighted=weighted))
    ohem = MODELS.build(dict(head, weighted=weighted, sampler=OHEM))
    ohem.load_state_dict(plain.state_dict())
    logits = 3 * plain(maps())
    losses = [
        one.loss_by_feat(logits, batch)['loss_ce'] for one in (plain, ohem)
    ]
    labels = torch.stack(
        [one.gt_sem_seg.data[0] for one in middle(batch, logits)])
    weights = torch.stack([
        crop_center(one.gt_weight_map.data, *logits.shape[2:])[0]
        for one in batch
    ])
    energy = torch.nn.functional.cross_entropy(
        logits, labels, ignore_index=VOID, reduction='none')
    energy = energy * (weights if weighted else 1)
    probability = logits.softmax(1).gather(
        1, labels.where(labels != VOID, 0)[:, None])[:, 0]
    hard = (labels != VOID) & (probability < 0.6)
    assert 6 < hard.sum() < (labels != VOID).sum()
    torch.testing.assert_close(losses[0], energy.mean())
    torch.testing.assert_close(losses[1], (energy * hard).mean())
