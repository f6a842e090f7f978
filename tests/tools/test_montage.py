"""tools/montage.py tiles pictures, and names what is none."""
import cv2
import numpy as np
import pytest
from by_path import load_tool


@pytest.fixture(scope='module')
def tool():
    pytest.importorskip('mmcv')
    return load_tool('montage')


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f'{k}.png'),
                    np.full((20, 10, 3), 50 * k, np.uint8))
    return folder


def test_pictures_stand_row_by_row(tool, folder, tmp_path):
    out = tmp_path / 'out.png'
    assert tool.main([str(folder), str(out), '--columns', '2', '--height',
                      '40']) == 0
    sheet = cv2.imread(str(out))
    assert sheet.shape == (80, 40, 3)
    assert [sheet[i, j, 0] for i in (10, 50) for j in (10, 30)] == [
        0, 50, 100, 255]


@pytest.mark.parametrize('option', ['--columns', '--count', '--height'])
def test_a_number_below_one_is_refused(tool, folder, tmp_path, capsys,
                                       option):
    with pytest.raises(SystemExit):
        tool.main([str(folder), str(tmp_path / 'out.png'), option, '0'])
    assert f'{option} must be at least 1, got 0' in capsys.readouterr().err


@pytest.mark.parametrize('content, out, message', [
    (b'', 'out.png', '1.png cannot be read as an image'),
    (b'no picture', 'out.png', '1.png cannot be read as an image'),
    (None, 'out.nothing', 'could not find encoder'),
    (None, 'pictures/0.png/out.png', '0.png'),
])
def test_what_cannot_be_read_or_written_is_one_line(
        tool, folder, tmp_path, capsys, content, out, message):
    if content is not None:
        (folder / '1.png').write_bytes(content)
    assert tool.main([str(folder), str(tmp_path / out)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1


def test_a_folder_without_pictures_is_named(tool, tmp_path, capsys):
    assert tool.main([str(tmp_path), str(tmp_path / 'out.png')]) == 2
    assert f'no picture in {tmp_path}' in capsys.readouterr().err
