"""A training step of a host's own model, with the operator and without."""
from collections.abc import Iterator

import torch
from mmengine.hub import get_config
from torch import nn

from mmdense.analysis.benchmarks.rows import Row, Setting, timed_row
from mmdense.modules.adaptive_dilated_conv import DilationRateRegression
from mmdense.networks import build_model

BASELINE = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
            'td-hm_res50_8xb64-210e_coco-256x192.py')
IMAGE = (256, 192)


def baseline(adaptive: bool) -> nn.Module:
    """mmpose's SimpleBaseline-ResNet-50, untrained, for training.

    With ``adaptive``, conv2 of every Bottleneck is an adaptive dilated
    convolution whose regression starts off the integers: at its initial
    rates of exactly 1 a kernel may be spared the interpolation.
    """
    config = get_config(BASELINE)
    if adaptive:
        config.model.backbone = dict(
            type='mmdense.ReplaceConv',
            backbone=config.model.backbone,
            conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
            pattern=r'layer[1-4]\.\d+\.conv2')
    model = build_model(config).train()
    for module in model.modules():
        if isinstance(module, DilationRateRegression):
            nn.init.uniform_(module.fc2.offset, -0.5, 1.5)
    return model


def model_rows(setting: Setting) -> Iterator[Row]:
    """A training step of a host's own model, with and without ADC.

    Forward, mean squared error on the heatmaps, backward and an Adam step;
    the data pipeline is not part of it.
    """
    x = torch.randn(setting.batch, 3, *IMAGE, device=setting.device)
    for dtype in setting.dtypes:
        if dtype == torch.float16:
            continue  # Needs a loss scaler, whose speed nobody asked for.
        steps = []
        for adaptive in (True, False):
            model = baseline(adaptive).to(setting.device)
            optimizer = torch.optim.Adam(model.parameters(), 5e-4)

            def step(model=model, optimizer=optimizer, dtype=dtype):
                with torch.autocast(
                        setting.device.type,
                        dtype,
                        enabled=dtype != torch.float32):
                    heatmaps = model(x, None, mode='tensor')
                optimizer.zero_grad()
                heatmaps.float().square().mean().backward()
                optimizer.step()

            steps.append(step)
        yield timed_row(
            setting, 'SimpleBaseline-R50 with ADC / without, train step',
            'x'.join(map(str, IMAGE)), *steps,
            None if setting.cuda else 1.05, dtype=dtype, slow=True)
