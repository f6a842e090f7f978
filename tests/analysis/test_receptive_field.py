"""Receptive fields against the FCN paper's Table 1 and against gradients."""
import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from mmdense.analysis.receptive_field import receptive_fields

models = pytest.importorskip('torchvision.models')


def fully(features, kernel):
    """A classifier turned fully convolutional: fc6, fc7, score."""
    channels = [m for m in features.modules() if isinstance(m, nn.Conv2d)]
    return nn.Sequential(
        features, nn.Conv2d(channels[-1].out_channels, 8, kernel), nn.ReLU(),
        nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 21, 1))


def field_of(model, side=512):
    image = torch.empty(1, 3, side, side, device='meta')
    return receptive_fields(model.eval().to('meta'), image)


@pytest.mark.parametrize('name, kernel, layers, size', [
    ('vgg16', 7, 16, 404),
    ('alexnet', 6, 8, 355),
])
def test_table_1_of_fcn(name, kernel, layers, size):
    with torch.device('meta'):
        net = fully(getattr(models, name)(weights=None).features, kernel)
    field = field_of(net)['']
    assert field.layers == layers
    assert field.stride == (32, 32) and field.size == (size, size)


def test_googlenet_with_and_without_its_last_pool():
    with torch.device('meta'):
        net = models.googlenet(
            weights=None, aux_logits=False, init_weights=False)
        # torchvision has 3x3 where the paper has 5x5, and a 2x2 pool.
        for module in net.modules():
            if hasattr(module, 'branch3'):
                old = module.branch3[1].conv
                module.branch3[1].conv = nn.Conv2d(
                    old.in_channels, old.out_channels, 5, padding=2)
        net.maxpool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        net.avgpool = nn.AvgPool2d(7, 1)
        net.fc = nn.Identity()
    fields = field_of(net, 224)
    assert fields['inception5b'].size == (715, 715)
    assert fields['avgpool'].size == (907, 907)
    assert fields['inception5b'].stride == (32, 32)
    # 22 with the score layer.
    assert fields['inception5b'].layers == 21


class Branches(nn.Module):
    """Unequal axes, a functional pool, an addition, a transposed layer."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(1, 1, (5, 3), padding=(4, 1), dilation=(2, 1))
        self.narrow = nn.Conv2d(1, 1, 1)
        self.down = nn.Conv2d(1, 1, 3, stride=(2, 1), padding=1)
        self.up = nn.ConvTranspose2d(1, 1, (4, 3), (2, 1), padding=1)

    def forward(self, x):
        x = self.wide(x) + self.narrow(x)
        return self.up(nn.functional.avg_pool2d(self.down(x), 3, 1, 1))


def test_equals_the_extent_of_the_gradient():
    """The rows one output row depends on, at most, for all-one weights."""
    model = Branches()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    field = receptive_fields(model, torch.zeros(1, 1, 48, 48))['']
    image = torch.ones(1, 1, 48, 48, requires_grad=True)
    out = model(image)
    extents = []
    for row in (24, 25):
        grad, = torch.autograd.grad(out[0, 0, row, 24], image,
                                    retain_graph=True)
        seen = grad[0, 0].nonzero()
        extents.append(seen.max(0).values - seen.min(0).values + 1)
    expected = torch.stack(extents).max(0).values
    assert field.size == tuple(expected.tolist())
    assert field.stride == (1, 1) and field.layers == 3


def test_bilinear_upsampling_halves_the_stride():
    model = nn.Sequential(
        nn.MaxPool2d(2), nn.Upsample(scale_factor=4, mode='bilinear'))
    field = receptive_fields(model, torch.zeros(1, 1, 8, 8))['']
    assert field.stride == (Fraction(1, 2), ) * 2
    assert field.size == (4, 4)


@pytest.mark.parametrize('layer', [
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveMaxPool2d(1),
    nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
])
def test_what_sees_the_whole_map_has_no_finite_field(layer):
    field = receptive_fields(layer, torch.zeros(1, 1, 8, 8))['']
    assert field.size == (math.inf, math.inf)


def test_an_operator_nobody_knows_is_refused():

    @torch.library.custom_op('mmdense_test::double', mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    class Doubles(nn.Module):

        def forward(self, x):
            return double(x)

    with pytest.raises(ValueError, match='no receptive field is known for'):
        receptive_fields(Doubles(), torch.zeros(1, 1, 4, 4))
