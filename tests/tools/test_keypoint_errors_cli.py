"""tools/keypoint_errors.py on two result files of one person."""
import json

import pytest
from by_path import load_tool

pytest.importorskip('matplotlib')
POINTS = [[0, 0, 2], [40, 0, 2]]


@pytest.fixture
def tool():
    return load_tool('keypoint_errors')


@pytest.fixture
def files(tmp_path):
    truth = dict(
        images=[dict(id=1)],
        annotations=[
            dict(
                id=1, image_id=1, category_id=1, area=400, num_keypoints=2,
                keypoints=sum(POINTS, []))
        ],
        categories=[dict(id=1, keypoints=['left_eye', 'right_eye'])])
    right = dict(image_id=1, score=1, keypoints=sum(POINTS, []))
    # The right eye on the left one.
    wrong = dict(right, keypoints=[0, 0, 1, 0, 0, 1])
    for name, content in dict(
            truth=truth, right=[right], wrong=[wrong]).items():
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    return tmp_path


def argv(files, *results):
    return [
        str(files / 'truth.json'), *results, '--sigmas', '.1', '.1', '--out',
        str(files / 'out')
    ]


def test_two_results_are_set_side_by_side(tool, files, capsys):
    results = f'without={files}/wrong.json', f'with={files}/right.json'
    assert tool.main(argv(files, *results)) == 0
    out = capsys.readouterr().out
    assert '| kind | without | with |' in out
    assert '| inversion | 50.00 | 0.00 |' in out
    assert '| persons matched | 1 of 1 | 1 of 1 |' in out
    assert (files / 'out/errors.md').read_text() == out
    found = json.loads((files / 'out/errors.json').read_text())
    assert found['without']['counts']['right_eye']['inversion'] == 1
    assert found['with']['shares']['good'] == 1
    assert (files / 'out/errors.png').stat().st_size > 5000


@pytest.mark.parametrize('results, message', [
    (['nowhere.json'], 'nowhere.json must be a JSON file'),
    (['a=right.json', 'a=wrong.json'], "different names, got ['a', 'a']"),
])
def test_bad_input_is_one_line(tool, files, capsys, results, message):
    assert tool.main(argv(files, *results)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
