"""mmseg's own test script, as `mim test` runs it, on our evaluators."""
import cv2
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('mmseg')

from pathlib import Path  # noqa: E402

from mmdense.datasets import (  # noqa: E402
    make_membrane_set,
    make_segmentation_set,
)
from mmdense.networks import build_model  # noqa: E402
from mmdense.networks.host_scripts import run_host_script  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs/mmseg'


def small(name, folder):
    """A quick recipe and its untrained, narrow network on two images."""
    data = folder / 'set'
    if name.startswith('unet'):
        make_membrane_set(
            data, train=0, val=2, size=(64, 72), workers=1)
        options = '''
model = dict(backbone=dict(base_channels=2, depth=2),
             decode_head=dict(in_channels=2), test_cfg=dict(tile=(124, 124)))
'''
        root, method = data, 'unet'
    else:
        make_segmentation_set(
            data, train=1, val=2, size=(64, 72), classes=['person'],
            workers=1)
        options = '''
model = dict(backbone=dict(classifier=dict(base_channels=2, fc_channels=4)),
             decode_head=dict(in_channels=[3, 8, 16, 4]))
'''
        root, method = data / 'VOC2012', 'fcn'
    # mmengine gives runs of one name and second one log.
    path = folder / f'{folder.name}.py'
    path.write_text(f'''_base_ = '{CONFIGS / method / name}.py'
{options}
val_dataloader = dict(num_workers=0, persistent_workers=False,
                      dataset=dict(data_root='{root}'))
test_dataloader = val_dataloader
''')
    config = Config.fromfile(path)
    torch.manual_seed(0)
    config.model.backbone.init_cfg = None
    checkpoint = folder / 'net.pth'
    torch.save(dict(state_dict=build_model(config).state_dict()), checkpoint)
    return path, checkpoint


@pytest.mark.parametrize('name, tta', [
    ('unet-narrow_quick_synthetic-284x284', []),
    ('unet-narrow_quick_synthetic-284x284', ['--tta']),
    ('fcn-8s_vgg16_quick_synthetic-128x128', []),
])
def test_predictions_are_written(name, tta, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    path, checkpoint = small(name, tmp_path)
    assert run_host_script('test', [
        str(path), str(checkpoint), '--out', 'out', '--work-dir', 'work', *tta
    ], '') == 0
    written = sorted((tmp_path / 'out').iterdir())
    assert len(written) == 2
    assert cv2.imread(str(written[0]), -1).shape[:2] == (64, 72)
    (log, ) = (tmp_path / 'work').rglob('*.log')
    assert 'pixel_' in log.read_text()
