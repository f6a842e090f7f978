"""ImageNet classifiers turned fully convolutional: the encoders of FCN.

Source: J. Long, E. Shelhamer and T. Darrell, *Fully Convolutional Networks
for Semantic Segmentation*, CVPR 2015, Fig. 2 and Table 1; the lecture's
slides 7, 8 and 14.

Each takes images (N, 3, H, W) of any size and gives four maps: the image
itself, to whose size a decoder crops, and the maps at stride 8, 16 and 32.
The first convolution pads 100 pixels, the authors' convention: the maps reach
beyond the image on every side, whatever its size.
"""
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.googlenet import (
    BasicConv2d,
    GoogLeNet,
    Inception,
    InceptionAux,
)

from mmdense.arguments import (
    check_at_least,
    check_map,
    check_positive,
    check_share,
)

PADDING = 100


def _response_norm() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)


class _Classifier(nn.Module):
    """``features``, of which two maps are kept, and what came behind them.

    Attributes:
        in_channels (int): Of the image.
        kept (tuple[str, str]): Children of ``features`` at stride 8 and 16.
        classifier (dict[str, str]): Our layers' names to the classifier's,
            for those whose weights were matrices.

    Raises:
        TypeError: If the dropout or a width is not a number.
        ValueError: If the dropout is not from 0 to 1, or a width is below 1;
            on call, if the image is not (N, in_channels, H, W).
    """
    in_channels = 3
    kept = ()
    classifier = {}

    def __init__(self, dropout: float):
        super().__init__()
        check_share(dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        """Apply He initialisation; norms as they are, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def classifier_key(self, name: str) -> str:
        """Return the name of our entry ``name`` in torchvision's model."""
        layer, _, rest = name.partition('.')
        return f'{self.classifier.get(layer, layer)}.{rest}'

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the image and the maps of stride 8, 16 and 32."""
        check_map(image, self.in_channels, 'image')
        maps, x = [image], image
        for name, layer in self.features.named_children():
            x = layer(x)
            if name in self.kept:
                maps.append(x)
        return (*maps, self.head(x))

    def head(self, x: Tensor) -> Tensor:
        for layer in (self.fc6, self.fc7):
            x = self.dropout(layer(x).relu())
        return x


class ConvolutionalAlexNet(_Classifier):
    """AlexNet, fc6 and fc7 as 6x6 and 1x1 convolutions.

    The paper's is CaffeNet: two groups in the second, fourth and fifth
    convolution, local response norms behind the first two pools. That of
    torchvision (A. Krizhevsky, arXiv:1404.5997) is narrower and has neither.
    Pools round up, as Caffe's do.

    Args:
        torchvision_layers (bool): Layers that torchvision's weights fit.
        dropout (float): Dropout after fc6 and fc7 in training.
    """
    kept = ('2', '5')
    classifier = {'fc6': 'classifier.1', 'fc7': 'classifier.4'}

    def __init__(self, torchvision_layers: bool = False,
                 dropout: float = 0.5):
        super().__init__(dropout)
        if torchvision_layers:
            widths, groups = (64, 192, 384, 256, 256), 1
        else:
            widths, groups = (96, 256, 384, 384, 256), 2
        a, b, c, d, e = widths

        def relu():
            return nn.ReLU(inplace=True)

        def pool():
            layers = [nn.MaxPool2d(3, 2, ceil_mode=True)]
            if not torchvision_layers:
                layers.append(_response_norm())
            return nn.Sequential(*layers)

        # One child for pool and norm: the numbers stay torchvision's.
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, stride=4, padding=PADDING), relu(), pool(),
            nn.Conv2d(a, b, 5, padding=2, groups=groups), relu(), pool(),
            nn.Conv2d(b, c, 3, padding=1), relu(),
            nn.Conv2d(c, d, 3, padding=1, groups=groups), relu(),
            nn.Conv2d(d, e, 3, padding=1, groups=groups), relu(),
            nn.MaxPool2d(3, 2, ceil_mode=True))
        self.fc6 = nn.Conv2d(e, 4096, 6)
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.init_weights()


class ConvolutionalVGG16(_Classifier):
    """VGG16, fc6 and fc7 as 7x7 and 1x1 convolutions.

    The kept maps are pool3 and pool4. Pools round up, as Caffe's do.

    Args:
        base_channels (int): Width of the first block, 64 in the paper; the
            others are 2, 4, 8 and 8 times that.
        fc_channels (int): Width of fc6 and fc7.
        dropout (float): Dropout after fc6 and fc7 in training.
        in_channels (int): Channels of the image, at least 3. Weights of a
            network for 3 channels load as well: each further channel starts
            with the mean of their weights (the paper does not say what
            its early fusion of RGB and depth starts from).
    """
    kept = ('16', '23')
    classifier = {'fc6': 'classifier.0', 'fc7': 'classifier.3'}

    def __init__(self,
                 base_channels: int = 64,
                 fc_channels: int = 4096,
                 dropout: float = 0.5,
                 in_channels: int = 3):
        super().__init__(dropout)
        check_positive(
            base_channels=base_channels, fc_channels=fc_channels)
        check_at_least(3, in_channels=in_channels)
        self.in_channels = in_channels
        layers, width, padding = [], in_channels, PADDING
        for factor, depth in ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3)):
            for _ in range(depth):
                layers += [
                    nn.Conv2d(width, factor * base_channels, 3,
                              padding=padding),
                    nn.ReLU(inplace=True)
                ]
                width, padding = factor * base_channels, 1
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(width, fc_channels, 7)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.init_weights()
        if in_channels > 3:
            self.register_load_state_dict_pre_hook(_widen_first)


def _widen_first(module, state, prefix, *_) -> None:
    """Weights of a first layer for colours, for more channels than these."""
    key = f'{prefix}features.0.weight'
    weight = state.get(key)
    if weight is not None and weight.shape[1] == 3 < module.in_channels:
        more = weight.mean(1, keepdim=True).expand(
            -1, module.in_channels - 3, -1, -1)
        state[key] = torch.cat([weight, more], 1)


class _ConvReLU(nn.Module):
    """The original's biased convolution where torchvision's has a norm."""

    def __init__(self, in_channels: int, out_channels: int, **options):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu_()


class ConvolutionalGoogLeNet(_Classifier):
    """GoogLeNet up to inception 5b: no final pool, no auxiliary classifiers.

    The final 7x7 average pool is left out, so a position sees 715 pixels;
    the 907 of Table 1 describe the classifier, which has it. torchvision's
    layers differ from the original: batch norms instead of biases and of the
    two local response norms, 3x3 kernels in the 5x5 branches and a 2x2 last
    pool. Its weights need images in [-1, 1].

    Args:
        torchvision_layers (bool): Layers that torchvision's weights fit.
        dropout (float): Dropout of the last map in training.
    """
    kept = ('maxpool2', 'maxpool3')

    def __init__(self,
                 torchvision_layers: bool = False,
                 dropout: float = 0.4):
        super().__init__(dropout)
        conv = BasicConv2d if torchvision_layers else _ConvReLU
        net = GoogLeNet(
            aux_logits=False,
            init_weights=False,
            blocks=[conv, partial(Inception, conv_block=conv), InceptionAux])
        net.conv1.conv.padding = (PADDING, PADDING)
        if not torchvision_layers:
            # No children of their own: the others keep their names.
            net.maxpool1 = nn.Sequential(net.maxpool1, _response_norm())
            net.maxpool2 = nn.Sequential(_response_norm(), net.maxpool2)
            net.maxpool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
            for block in net.children():
                if isinstance(block, Inception):
                    wrong = block.branch3[1].conv
                    block.branch3[1] = conv(
                        wrong.in_channels,
                        wrong.out_channels,
                        kernel_size=5,
                        padding=2)
        # In the order they run; the classifier's own end is cut off.
        self.features = nn.Sequential()
        for name, layer in net.named_children():
            self.features.add_module(name, layer)
            if name == 'inception5b':
                break
        self.init_weights()

    def classifier_key(self, name: str) -> str:
        return name.removeprefix('features.')

    def head(self, x: Tensor) -> Tensor:
        return self.dropout(x)
