"""tools/export.py writes what other runtimes run, and says where not."""
import importlib.util
import math
from pathlib import Path

import pytest
import torch
from by_path import load_tool

from mmdense.networks import build_model, exporting, load_config

ROOT = Path(__file__).resolve().parents[2]
# Of each method its quick start, with one block a stage and few channels.
FLATTENET = '''
_base_ = '{configs}/mmpose/flattenet/td-hm_flattenet-res18_quick_synthetic-128x96.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(
        in_channels=64,
        layers=[dict(groups_first=8, groups_second=8, multiplier=16)]))
'''  # noqa: E501
ADAPTIVE = '''
_base_ = '{configs}/mmpose/adaptive_dilated_conv/td-hm_adc-res18_quick_synthetic-128x96.py'
model = dict(
    backbone=dict(
        backbone=dict(
            stem_channels=8, base_channels=8, num_stages=1,
            strides=(1, ), dilations=(1, ), out_indices=(0, )),
        pattern=r'layer1\\.0\\.conv2'),
    head=dict(in_channels=8, deconv_out_channels=None))
'''  # noqa: E501
SHORTCUT = '''
_base_ = '{configs}/mmpose/spatial_shortcut/td-hm_ssn-3block-k256_quick_synthetic-128x96.py'
model = dict(
    backbone=dict(
        stem_channels=8, base_channels=4, norm_cfg=dict(num_groups=4),
        shift=dict(shift_channels=6)),
    head=dict(in_channels=16, groups=4))
'''  # noqa: E501
PYRAMID = '''
_base_ = '{configs}/mmseg/pyramid_attention/pyramid-attention_r18-d16_quick_synthetic-128x128.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=4),
    decode_head=dict(
        in_channels=[4, 8, 16, 32], channels=8,
        attention=dict(pyramid_channels=8)))
'''  # noqa: E501
CENTERNET = '''
_base_ = '{configs}/mmdet/flattenet/centernet-flattenet_r18_quick_synthetic.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(
        in_channels=64,
        layers=[dict(
            groups_first=8, groups_second=8, kernel_size=5,
            multiplier=32)]))
'''
FCN = '''
_base_ = '{configs}/mmseg/fcn/fcn-8s_vgg16_quick_synthetic-128x128.py'
model = dict(
    backbone=dict(classifier=dict(base_channels=4, fc_channels=8)),
    decode_head=dict(in_channels=[3, 16, 32, 8]))
'''
U_NET = '''
_base_ = '{configs}/mmseg/unet/unet-narrow_quick_synthetic-284x284.py'
model = dict(
    backbone=dict(base_channels=4, depth=1),
    decode_head=dict(in_channels=4))
'''
HRNET = '''
_base_ = '{configs}/mmseg/hrnet/hrnetv2_w8_quick_synthetic-128x128.py'
'''
MASK_RCNN = '''
_base_ = '{configs}/mmdet/mask_rcnn/mask-rcnn_r18-fpn_quick_synthetic.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=8),
        bbox_head=dict(in_channels=8, fc_out_channels=16),
        mask_roi_extractor=dict(out_channels=8),
        mask_head=dict(in_channels=8, conv_out_channels=8)))
'''
DEFORMABLE = '''
_base_ = '{configs}/mmdet/flattenet/centernet-flattenet_r18_quick_synthetic.py'
model = dict(backbone=dict(
    depth=50, stem_channels=8, base_channels=8,
    dcn=dict(
        _delete_=True, type='DCNv2', deform_groups=1,
        fallback_on_stride=False),
    stage_with_dcn=(False, False, False, True)))
'''


needs_export = pytest.mark.skipif(
    not hasattr(torch.export.Dim, 'AUTO'), reason='wants torch 2.6')


@pytest.fixture(scope='module')
def tool():
    return load_tool('export')


@pytest.fixture
def config(tmp_path):

    def write(text):
        path = tmp_path / 'config.py'
        path.write_text(text.format(configs=ROOT / 'configs'))
        return str(path)

    return write


ALL = ['batch', 'height', 'width']


@needs_export
@pytest.mark.parametrize('host, text, options, free, outputs', [
    ('mmpose', FLATTENET, [], ALL, ['output']),
    ('mmpose', ADAPTIVE, [], ALL, ['output']),
    ('mmpose', SHORTCUT, ['--fixed-size'], ['batch'], ['output_P1']),
    ('mmseg', PYRAMID, [], ALL, ['output']),
    ('mmseg', U_NET, [], ALL, ['output']),
    ('mmdet', CENTERNET, ['--fixed-size'], ['batch'], 3),
    ('mmdet', MASK_RCNN, [], ['nothing'],
     ['rois', 'cls_score', 'bbox_pred', 'mask_preds']),
], ids=['flattenet', 'adaptive', 'shortcut', 'pyramid', 'u_net', 'centernet',
        'mask_rcnn'])
def test_onnxruntime_gives_what_pytorch_gives(
        tool, config, tmp_path, capsys, host, text, options, free, outputs):
    pytest.importorskip(host)
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    path, out = config(text), tmp_path / 'out' / 'model.onnx'
    # Weights whose proposals are none's equal.
    torch.manual_seed(0)
    assert tool.main([path, '--out', str(out), '--shape', '64', '96',
                      *options]) == 0
    printed = capsys.readouterr().out
    assert f'free: {", ".join(free)}\n' in printed
    assert printed.count('largest difference') == len(free) + (
        free == ['batch'])
    model = onnx.load(out)
    # Nothing of ours or of mmcv's is left in the graph.
    assert {n.domain for n in model.graph.node} <= {''}
    names = [o.name for o in model.graph.output]
    assert len(names) == outputs if isinstance(
        outputs, int) else set(outputs) <= set(names)
    assert {'mean', 'std'} <= {p.key for p in model.metadata_props}


@needs_export
@pytest.mark.slow
def test_openvino_gives_what_pytorch_gives(tool, config, tmp_path,
                                           monkeypatch):
    pytest.importorskip('mmpose')
    pytest.importorskip('openvino')
    monkeypatch.setattr(exporting, 'load_onnx', exporting.load_openvino)
    assert tool.main([config(ADAPTIVE), '--out', str(tmp_path / 'm.onnx'),
                      '--shape', '64', '96']) == 0


@needs_export
@pytest.mark.slow
def test_a_size_that_torch_left_free_in_name_only_is_fixed(
        tool, config, tmp_path, capsys):
    """HRNetV2's graph keeps a number of the size it was traced at."""
    pytest.importorskip('mmseg')
    out = tmp_path / 'm.onnx'
    assert tool.main([config(HRNET), '--out', str(out)]) == 0
    assert 'free: batch\n' in capsys.readouterr().out


@needs_export
def test_a_number_of_one_size_in_a_graph_is_seen():

    class Network(torch.nn.Module):
        offset = 0

        def forward(self, images):
            return (images * 2 + self.offset, )

    network = Network()
    program = torch.export.export(
        network, (torch.zeros(2, 3, 8, 6), ),
        dynamic_shapes=({a: torch.export.Dim.AUTO for a in (0, 2, 3)}, ))
    assert exporting._holds(program, network, (4, 8), 3)
    network.offset = 1
    assert not exporting._holds(program, network, (4, 8), 3)


@needs_export
def test_zeros_compared_with_zeros_are_no_comparison(
        tool, config, tmp_path, capsys):
    """FCN's scores begin at zero; with other weights it is compared."""
    pytest.importorskip('mmseg')
    pytest.importorskip('onnxruntime')
    path, out = config(FCN), str(tmp_path / 'm.onnx')
    argv = ['--out', out, '--fixed-size', '--shape', '64', '64']
    assert tool.main([path, *argv]) == 2
    assert 'gives zeros only' in capsys.readouterr().err
    model = build_model(load_config(path))
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    assert tool.main([path, str(tmp_path / 'w.pth'), *argv]) == 0


@needs_export
@pytest.mark.parametrize('change, message', [
    (lambda m: m.rpn_head.test_cfg.nms.update(type='soft_nms'),
     'proposals must be suppressed by nms, got soft_nms'),
    (lambda m: setattr(m.roi_head, 'num_stages', 3),
     'roi_head must have one stage, got StandardRoIHead'),
    (lambda m: setattr(
        m.roi_head.bbox_roi_extractor.roi_layers[1], 'pool_mode', 'max'),
     "must be a RoIAlign with pool_mode='avg', got RoIAlign"),
], ids=['nms', 'cascade', 'pooling'])
def test_a_two_stage_detector_of_another_kind_is_named(
        config, change, message):
    pytest.importorskip('mmdet')
    model = build_model(load_config(config(MASK_RCNN)))
    change(model)
    with pytest.raises(ValueError, match=message):
        exporting.program_of(model, (64, 64))


@needs_export
def test_the_checkpoint_is_exported_and_a_difference_is_status_one(
        tool, config, tmp_path, capsys, monkeypatch):
    pytest.importorskip('mmpose')
    pytest.importorskip('onnxruntime')
    path = config(FLATTENET)
    model = build_model(load_config(path))
    model.head.final_layer.weight.data.zero_()
    model.head.final_layer.bias.data.fill_(3.)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    load = exporting.load_onnx

    def off_by_a_thousandth(path):
        run = load(path)
        return lambda images: [1.001 * out for out in run(images)]

    monkeypatch.setattr(exporting, 'load_onnx', off_by_a_thousandth)
    out = tmp_path / 'm.onnx'
    argv = [path, str(tmp_path / 'w.pth'), '--out', str(out),
            '--fixed-size', '--shape', '64', '64']
    assert tool.main(argv) == 1
    printed = capsys.readouterr().out
    assert 'largest difference 0.003 of values up to 3, 0.001' in printed
    assert 'over the tolerance of 0.0001' in printed
    maps, = load(out)(torch.randn(2, 3, 64, 64))
    assert maps.shape[:2] == (2, 17) and bool((maps == 3).all())


@needs_export
def test_an_operator_without_a_standard_form_is_named(
        tool, config, tmp_path, capsys):
    pytest.importorskip('mmdet')
    out = tmp_path / 'm.onnx'
    assert tool.main([config(DEFORMABLE), '--out', str(out)]) == 2
    captured = capsys.readouterr()
    assert 'ModulatedDeformConv2dPack (backbone.layer4.0.conv' in captured.err
    assert captured.err.count('\n') == 1 and not out.exists()


@pytest.mark.parametrize('values', [(1., float('nan')), (float('nan'), 1.)])
def test_a_nan_is_a_difference_wherever_it_is(
        tool, tmp_path, capsys, monkeypatch, values):
    class Network(torch.nn.Module):
        def forward(self, images, samples, mode):
            return [torch.ones(len(images), 1, 2, 2) for _ in values]

    found = exporting.differences(
        Network(), lambda images: [
            torch.full((len(images), 1, 2, 2), v) for v in values],
        (4, 4), 3, ['batch'])
    assert all(math.isnan(one.relative) for one in found)
    whole = exporting.Difference((1, 3, 4, 4), 0., 1.)
    monkeypatch.setattr(tool, 'export', lambda _: [whole, *found])
    assert tool.main(['c.py', '--out', str(tmp_path / 'm.onnx')]) == 1
    assert 'over the tolerance' in capsys.readouterr().out


@needs_export
@pytest.mark.slow
@pytest.mark.parametrize('host, text', [
    ('mmpose', FLATTENET), ('mmpose', ADAPTIVE), ('mmpose', SHORTCUT),
    ('mmseg', PYRAMID), ('mmseg', U_NET), ('mmseg', HRNET),
    ('mmdet', CENTERNET),
], ids=['flattenet', 'adaptive', 'shortcut', 'pyramid', 'u_net', 'hrnet',
        'centernet'])
def test_aotinductor_gives_what_pytorch_gives(
        tool, config, tmp_path, host, text):
    pytest.importorskip(host)
    argv = [config(text), '--out', str(tmp_path / 'm.pt2'), '--format',
            'aoti', '--fixed-size', '--shape', '64', '96']
    assert tool.main(argv) == 0


def test_an_older_torch_is_named(tool, config, tmp_path, capsys, monkeypatch):
    pytest.importorskip('mmpose')
    monkeypatch.setattr(exporting, 'Dim', object())
    assert tool.main([config(FLATTENET), '--out', str(tmp_path / 'm')]) == 2
    assert 'needs torch 2.6 or later, got' in capsys.readouterr().err


def test_a_missing_config_is_one_line_and_status_two(tool, capsys):
    assert tool.main(['gone.py', '--out', 'm.onnx']) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith('error: gone.py: no such config;')
    assert captured.err.count('\n') == 1


@needs_export
def test_what_a_runtime_refuses_is_one_line(
        tool, tmp_path, capsys, monkeypatch):
    """The exporter's and onnxruntime's own errors are no ValueErrors."""
    pytest.importorskip('onnxruntime')
    (tmp_path / 'm.onnx').write_bytes(b'no graph')
    argv = ['a.py', '--out', str(tmp_path / 'm.onnx')]

    def refuses(*_, **__):
        raise torch.onnx.OnnxExporterError('no form of\nmmdense::x')

    monkeypatch.setattr(torch.onnx, 'export', refuses)
    for refused, message in (
        (lambda _: exporting.write_onnx(None, None, tmp_path / 'm.onnx'),
         'torch.onnx cannot export it: OnnxExporterError: no form of mmd'),
        (lambda _: exporting.load_onnx(tmp_path / 'm.onnx'),
         f'onnxruntime cannot load {tmp_path}'),
    ):
        monkeypatch.setattr(tool, 'export', refused)
        assert tool.main(argv) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count('\n') == 1


def test_missing_packages_are_named_before_anything_is_traced(
        tool, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *more: None if name == 'onnxruntime' else find(
            name, *more))
    assert tool.main(['gone.py', '--out', str(tmp_path / 'm.onnx')]) == 2
    assert 'needs onnxruntime, not installed' in capsys.readouterr().err
