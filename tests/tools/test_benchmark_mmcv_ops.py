"""The benchmark of the stand-in operators runs beside a compiled mmcv."""

import pytest
import torch
from by_path import load_tool
from mmcv_ops_cases import compiled_operators


def main(*arguments):
    return load_tool('benchmark_mmcv_ops').main(list(arguments))


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_prints_a_row_for_each_operator_and_size(capsys):
    if compiled_operators() is None:
        pytest.skip('needs a compiled mmcv')
    import mmcv.ops.deform_conv
    before = mmcv.ops.deform_conv.ext_module
    main('--sizes', '1x2x4x3', '--repeats', '1')
    assert mmcv.ops.deform_conv.ext_module is before
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [
        ['deform_conv2d', '1x2x4x3'], ['modulated_deform_conv2d', '1x2x4x3']]
    assert all(float(row.split()[-1]) > 0 for row in rows)


def test_wants_the_compiled_mmcv():
    pytest.importorskip('mmcv.ops')
    if compiled_operators() is not None:
        pytest.skip('needs mmcv-lite with the stand-in')
    with pytest.raises(SystemExit, match='mmcv must be the compiled one'):
        main()
