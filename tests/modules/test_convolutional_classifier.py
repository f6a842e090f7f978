"""The encoders of FCN against the classifiers they come from."""
import pytest
import torch
from torch import nn

models = pytest.importorskip('torchvision.models')

from torchvision.models.vgg import VGG, make_layers  # noqa: E402

from mmdense.checkpoints.classifier_weights import convert_classifier  # noqa: E402
from mmdense.modules.convolutional_classifier import (  # noqa: E402
    PADDING,
    ConvolutionalAlexNet,
    ConvolutionalGoogLeNet,
    ConvolutionalVGG16,
)


def narrow_vgg16():
    """torchvision's VGG16 in a sixteenth of its width."""
    widths = [4, 4, 'M', 8, 8, 'M', 16, 16, 16, 'M', 32, 32, 32, 'M', 32, 32,
              32, 'M']
    net = VGG(make_layers(widths), num_classes=1)
    net.classifier = nn.Sequential(
        nn.Linear(32 * 49, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 20),
        nn.ReLU(), nn.Dropout(), nn.Linear(20, 7))
    return net


def alexnet():
    # Its own start leaves the logits too small to tell apart.
    net = models.alexnet()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return net


def googlenet():
    net = models.googlenet(aux_logits=True, init_weights=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize('classifier, network, first, padding', [
    (narrow_vgg16, lambda: ConvolutionalVGG16(4, 20), '0', 1),
    (alexnet, lambda: ConvolutionalAlexNet(True), '0', 2),
    (googlenet, lambda: ConvolutionalGoogLeNet(True), 'conv1.conv', 3),
], ids=['vgg16', 'alexnet', 'googlenet'])
def test_computes_the_logits_of_its_classifier(classifier, network, first,
                                               padding):
    # float64: how far float32 is off depends on the machine's kernels.
    theirs, ours = classifier().eval().double(), network().eval().double()
    ours.load_state_dict(convert_classifier(theirs.state_dict(), ours))
    # The classifier's own, so that one position is left of its 224 pixels.
    ours.features.get_submodule(first).padding = (padding, padding)
    image = torch.randn(2, 3, 224, 224).double()
    with torch.no_grad():
        x = ours(image)[-1]
        if hasattr(theirs, 'fc'):
            assert x.shape == (2, 1024, 7, 7)
            logits = theirs.fc(x.mean((2, 3)))
        else:
            assert x.shape[2:] == (1, 1)
            logits = theirs.classifier[-1](x.flatten(1))
        expected = theirs(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize('network, channels, total', [
    (ConvolutionalAlexNet, 4096, 56954261),
    (ConvolutionalVGG16, 4096, 134346581),
    (ConvolutionalGoogLeNet, 1024, 5995077),
], ids=['alexnet', 'vgg16', 'googlenet'])
def test_has_exactly_the_papers_parameters_with_a_score_layer(
        network, channels, total):
    with torch.device('meta'):
        parts = network(), nn.Conv2d(channels, 21, 1)
    assert sum(p.numel() for m in parts for p in m.parameters()) == total


@pytest.mark.parametrize('network, channels', [
    (lambda: ConvolutionalVGG16(2, 5), (3, 8, 16, 5)),
    (ConvolutionalAlexNet, (3, 96, 256, 4096)),
    (lambda: ConvolutionalAlexNet(True), (3, 64, 192, 4096)),
    (ConvolutionalGoogLeNet, (3, 192, 480, 1024)),
    (lambda: ConvolutionalGoogLeNet(True), (3, 192, 480, 1024)),
])
def test_gives_the_image_and_maps_of_stride_8_16_and_32(network, channels):
    with torch.device('meta'):
        net = network()
        small, large = (net(torch.empty(1, 3, 64 + side, 32 + side))
                        for side in (0, 320))
    assert tuple(m.shape[1] for m in small) == channels
    assert small[0].shape[2:] == (64, 32)
    for a, b, stride in zip(small, large, (1, 8, 16, 32), strict=True):
        assert [n - m for m, n in zip(a.shape[2:], b.shape[2:], strict=True)
                ] == [320 // stride] * 2


def test_alexnet_of_the_paper_normalises_behind_its_first_two_pools():
    with torch.device('meta'):
        features = ConvolutionalAlexNet().features
    kinds = [type(m).__name__ for m in features.modules()
             if not list(m.children())]
    assert kinds[:8] == ['Conv2d', 'ReLU', 'MaxPool2d', 'LocalResponseNorm'
                         ] * 2
    assert 'LocalResponseNorm' not in kinds[8:]


def test_googlenet_of_the_paper_normalises_around_its_second_convolutions():
    with torch.device('meta'):
        features = ConvolutionalGoogLeNet().features
    kinds = [type(m).__name__ for m in features.modules()
             if not list(m.children())]
    assert kinds[:7] == ['Conv2d', 'MaxPool2d', 'LocalResponseNorm', 'Conv2d',
                         'Conv2d', 'LocalResponseNorm', 'MaxPool2d']
    assert 'LocalResponseNorm' not in kinds[7:]


def test_dropout_works_in_training_alone():
    net = ConvolutionalVGG16(1, 64, dropout=0.5)
    image = torch.randn(1, 3, 8, 8)
    assert not torch.equal(net(image)[-1], net(image)[-1])
    net.eval()
    assert torch.equal(net(image)[-1], net(image)[-1])


def test_pads_the_image_by_a_hundred_pixels():
    """An image of zeros beyond its border is the same image, shifted."""
    assert PADDING == 100
    net = ConvolutionalVGG16(2, 4).eval()
    image = torch.randn(1, 3, 40, 40)
    # 64 pixels more on every side: two positions more of fc7.
    wide = nn.functional.pad(image, (64, ) * 4)
    with torch.no_grad():
        small, large = net(image)[-1], net(wide)[-1]
    torch.testing.assert_close(small, large[..., 2:-2, 2:-2])
