"""Comparisons: their arithmetic, what is run again, what is compared."""
import copy
import json
import math
import shutil
import time

import pytest
from mmengine.config import Config
from scipy import stats

from mmdense.analysis import evidence
from mmdense.analysis.evidence import Arm, Comparison, Metric
from mmdense.analysis.evidence.definitions import digest

METRIC = Metric(key='mIoU', name='mIoU', better='higher', scale=100)
# As mmengine 0.10.7 writes it: a line of training, one of the evaluation.
TRAINING = ('{"lr": 0.002, "data_time": 0.03, "loss": 0.5, "time": 1.02, '
            '"iter": 4, "memory": 0, "step": 4}')
EVALUATION = ('{"aAcc": 96.75, "mIoU": 79.73999786376953, "mAcc": 86.0, '
              '"data_time": 0.006, "time": 0.02, "step": 4}')


def test_a_hook_that_only_logs_leaves_finished_runs_where_they_are():
    hooks = dict(check=dict(type='mmdense.CheckpointCheckHook'), timer=None)
    plain = Config(dict(default_hooks=hooks))
    logs = Config(dict(default_hooks=dict(
        hooks, movement=dict(type='mmdense.MovementHook'))))
    other = Config(dict(default_hooks=dict(
        hooks, movement=dict(type='mmdense.OffsetCheckHook'))))
    assert digest(logs) == digest(plain)
    assert digest(other) != digest(plain)
    assert digest(Config(dict(a=1))) != digest(plain)


def test_interval_of_differences_is_scipys_paired_test():
    arm = {0: 51.2, 1: 49.9, 2: 53.1, 5: 50.0}
    base = {0: 48.0, 1: 48.9, 2: 49.5, 7: 10.0}
    got = evidence.difference(arm, base, 'higher')
    test = stats.ttest_rel([51.2, 49.9, 53.1], [48.0, 48.9, 49.5])
    interval = test.confidence_interval(0.95)
    assert got.pairs == 3
    assert got.mean == pytest.approx(2.6)
    # Of the seeds that both have.
    assert got.baseline == pytest.approx((48.0 + 48.9 + 49.5) / 3)
    assert (got.low, got.high) == pytest.approx(tuple(interval))
    # 4.303 is the table's t of two degrees of freedom.
    half = 4.303 * math.sqrt(((0.6)**2 + (1.6)**2 + 1.0**2) / 2 / 3)
    assert got.high - got.mean == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize('gains, better, verdict', [
    ([2., 2.1, 1.9], 'higher', 'better'),
    ([2., 2.1, 1.9], 'lower', 'worse'),
    ([-2., -2.1, -1.9], 'higher', 'worse'),
    ([-2., -2.1, -1.9], 'lower', 'better'),
    ([2., -1., 1.], 'higher', 'no difference shown'),
    ([0., 0., 0.], 'higher', 'no difference shown'),
    ([30.], 'higher', 'no difference shown'),
    ([], 'higher', '-'),
])
def test_verdict_follows_interval_and_direction(gains, better, verdict):
    arm = {seed: 10 + gain for seed, gain in enumerate(gains)}
    base = dict.fromkeys(range(5), 10.)
    assert evidence.difference(arm, base, better).verdict == verdict


def test_a_direction_is_higher_or_lower():
    with pytest.raises(ValueError, match="'higher' or 'lower', got 'up'"):
        evidence.difference({}, {}, 'up')


def write_scalars(folder, lines, stamp='20260101_000000'):
    path = folder / stamp / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(lines))


def test_the_last_evaluation_is_read(tmp_path):
    write_scalars(tmp_path, [EVALUATION], '20260101_000000')
    write_scalars(tmp_path, [
        TRAINING,
        EVALUATION.replace('79.7', '11.1').replace('"step": 4', '"step": 2'),
        TRAINING, EVALUATION.replace('79.7', '66.6'), '{"loss": 0.'
    ], '20260102_000000')
    got = evidence.read_metrics(tmp_path, [METRIC], 4)
    assert got == dict(mIoU=66.63999786376953)


@pytest.mark.parametrize('lines, message', [
    ([TRAINING], 'must hold an evaluation at step 4, got none'),
    ([EVALUATION.replace('"step": 4', '"step": 2'), TRAINING],
     'must hold an evaluation at step 4, got step 2'),
    ([EVALUATION.replace('aAcc', 'acc')], r"no \['aAcc'\] among"),
])
def test_half_a_result_is_none(tmp_path, lines, message):
    write_scalars(tmp_path, lines)
    metrics = [METRIC, Metric('aAcc', 'accuracy', 'higher')]
    with pytest.raises(evidence.RunError, match=message):
        evidence.read_metrics(tmp_path, metrics, 4)


MOVED = ('"rates/mean": 2.0, "rates/channels": 0.5, "rates/samples": 0.25, '
         '"rates/constant": 0.5, "offsets/moved": 1.5, ')


def test_rates_and_offsets_come_with_the_metrics(tmp_path):
    write_scalars(tmp_path, [TRAINING, EVALUATION.replace(
        '"data_time"', f'{MOVED}"data_time"')])
    got = evidence.read_metrics(tmp_path, [METRIC], 4)
    assert got.pop('mIoU') > 79
    assert got == {
        'rates/mean': 2., 'rates/channels': 0.5, 'rates/samples': 0.25,
        'rates/constant': 0.5, 'offsets/moved': 1.5}


def test_no_result_file_is_named(tmp_path):
    with pytest.raises(evidence.RunError, match=f'{tmp_path}: no <timest'):
        evidence.read_metrics(tmp_path, [METRIC], 4)


@pytest.mark.parametrize('name, there, resumable', [
    ('iter_2.pth', True, True),
    ('epoch_3.pth', True, True),
    ('iter_4.pth', True, False),
    ('iter_2.pth', False, False),
    (None, False, False),
])
def test_only_a_checkpoint_short_of_the_end_is_resumed(
        tmp_path, name, there, resumable):
    if name:
        (tmp_path / 'last_checkpoint').write_text(f'/elsewhere/{name}')
    if there:
        (tmp_path / name).touch()
    assert evidence.resumable(tmp_path, 4) is resumable


class FakeTrainer:
    """Trains nothing; does for each call what ``script`` says next."""

    def __init__(self, *script):
        self.script = list(script)
        self.calls = []

    def __call__(self, arm, seed, folder, resume):
        self.calls.append((arm.name, seed, resume))
        do = self.script.pop(0) if self.script else 'finish'
        with open(folder / 'train.log', 'a') as log:
            log.write(f'{do} of {arm.name}\n')
        if do == 'stop':
            (folder / 'last_checkpoint').write_text('iter_2.pth')
            (folder / 'iter_2.pth').touch()
            return -9
        if do == 'crash':
            return 1
        if do == 'finish':
            write_scalars(folder, [TRAINING, EVALUATION],
                          f'{len(self.calls)}_{time.time_ns()}')
        return 0


SCRIPT = '''
import json, os, sys
from mmengine.config import Config
print(json.dumps([sys.argv[1:], os.environ['OMP_NUM_THREADS'],
                  Config.fromfile(sys.argv[1]).log_level]))
sys.exit(3)
'''


def test_a_training_is_the_hosts_script_in_one_thread(tmp_path, monkeypatch):
    """Under the hosts' forks too, where it takes mmdense to find a base."""
    pytest.importorskip('mmseg')
    tools = tmp_path / 'toyhost' / '.mim' / 'tools'
    tools.mkdir(parents=True)
    (tmp_path / 'toyhost' / '__init__.py').touch()
    (tools / 'train.py').write_text(SCRIPT)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    config = tmp_path / 'config.py'
    config.write_text("_base_ = 'mmseg::_base_/default_runtime.py'\n"
                      "default_scope = 'toyhost'\nmodel = dict()\n")
    arm = Arm('a', config, ('model.w=1', ))
    assert evidence.train(arm, 7, tmp_path, resume=True) == 3
    last = (tmp_path / 'train.log').read_text().splitlines()[-1]
    assert json.loads(last) == [[
        str(config), '--work-dir', str(tmp_path), '--resume', '--cfg-options',
        'randomness.seed=7', 'model.w=1'
    ], '1', 'INFO']


@pytest.fixture
def comparison(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / f'{name}.py').write_text(
            f'model = dict(name={name!r})\n'
            'train_cfg = dict(max_iters=4)\n'
            'train_dataloader = dict(dataset=dict('
            f'dataset=dict(data_root={str(tmp_path / "data")!r})))\n')
    (tmp_path / 'data').mkdir()
    return Comparison('c', 'mmseg', 'data', 'claim', 'base', (
        Arm('base', tmp_path / 'a.py'),
        Arm('new', tmp_path / 'b.py')), (METRIC, ))


def go(comparison, tmp_path, trainer, seeds=(0, 1)):
    said = []
    failed = evidence.run(comparison, seeds, tmp_path / 'w', trainer,
                          said.append)
    return failed, said


def test_every_arm_has_a_seed_before_the_next_seed(comparison, tmp_path):
    trainer = FakeTrainer()
    assert go(comparison, tmp_path, trainer)[0] == []
    assert trainer.calls == [('base', 0, False), ('new', 0, False),
                             ('base', 1, False), ('new', 1, False)]


def test_what_is_done_is_not_done_again(comparison, tmp_path):
    go(comparison, tmp_path, FakeTrainer())
    trainer = FakeTrainer()
    _, said = go(comparison, tmp_path, trainer, (0, 1, 2))
    assert trainer.calls == [('base', 2, False), ('new', 2, False)]
    assert said[0] == 'c, base, seed 0: done before'


def test_a_failed_run_shows_its_log_and_the_others_go_on(
        comparison, tmp_path):
    failed, said = go(comparison, tmp_path, FakeTrainer('finish', 'crash'))
    assert failed == ['c, new, seed 0']
    assert 'status 1' in said[1] and 'crash of new' in said[1]
    assert said[2:] == ['c, base, seed 1: trained', 'c, new, seed 1: trained']


def test_a_stopped_run_is_resumed_and_said_to_be(comparison, tmp_path):
    failed, _ = go(comparison, tmp_path, FakeTrainer('stop'), [0])
    assert failed == ['c, base, seed 0']
    trainer = FakeTrainer()
    _, said = go(comparison, tmp_path, trainer, [0])
    assert trainer.calls == [('base', 0, True)]
    assert said[0] == 'c, base, seed 0: resumed'
    report = evidence.collect(comparison, [0], tmp_path / 'w', lambda _: None)
    assert report['arms']['base']['resumed'] == [0]
    assert '1 (1 resumed)' in evidence.table(report)


def test_a_status_of_zero_without_a_result_is_no_result(comparison, tmp_path):
    failed, _ = go(comparison, tmp_path, FakeTrainer('nothing'), [0])
    assert failed == ['c, base, seed 0']
    report = evidence.collect(comparison, [0], tmp_path / 'w', lambda _: None)
    assert report['arms']['base']['metrics']['mIoU']['values'] == {}


def test_a_changed_recipe_does_not_meet_the_runs_of_the_old_one(
        comparison, tmp_path):
    go(comparison, tmp_path, FakeTrainer(), [0])
    with open(tmp_path / 'a.py', 'a') as file:
        file.write('train_cfg.update(val_interval=2)\n')
    trainer = FakeTrainer()
    go(comparison, tmp_path, trainer, [0])
    assert trainer.calls == [('base', 0, False)]


def test_options_are_part_of_the_recipe(tmp_path, comparison):
    plain = comparison.arms[0]
    arm = Arm('d', plain.config, ('train_cfg.max_iters=8', 'model.w=[1,2]'))
    assert arm.read().train_cfg.max_iters == 8
    assert arm.read().model.w == [1, 2]
    assert evidence.run_folder(tmp_path, arm, arm.read(), 0) != (
        evidence.run_folder(tmp_path, plain, plain.read(), 0))


def test_missing_data_is_named_before_anything_runs(comparison, tmp_path):
    (tmp_path / 'data').rmdir()
    trainer = FakeTrainer()
    failed, said = go(comparison, tmp_path, trainer, [0])
    assert len(failed) == 2 and trainer.calls == []
    assert f'reads {tmp_path / "data"}' in said[0]


def test_an_unknown_comparison_names_those_there_are(comparison):
    with pytest.raises(ValueError, match="no comparison 'x'; there are c, d"):
        evidence.pick(dict(c=comparison, d=comparison), 'x')


def report_of(comparison, tmp_path):
    class Better(FakeTrainer):

        def __call__(self, arm, seed, folder, resume):
            value = (50 if arm.name == 'base' else 52) + 0.1 * seed**2
            write_scalars(folder, [
                json.dumps(dict(mIoU=(value + 0.01 * seed) / 100, step=4))
            ])
            return 0

    seeds = [0, 1, 2]
    go(comparison, tmp_path, Better(), seeds)
    return evidence.collect(
        comparison, [*seeds, 3], tmp_path / 'w',
        lambda _: dict(params=1_234_567, macs=2 * 10**9))


def test_a_report_holds_what_the_runs_gave(comparison, tmp_path):
    report = report_of(comparison, tmp_path)
    new = report['arms']['new']['metrics']['mIoU']
    assert new['values'] == pytest.approx({0: 52, 1: 52.11, 2: 52.42})
    assert new['mean'] == pytest.approx(52.17667, abs=1e-4)
    assert new['std'] == pytest.approx(0.21779, abs=1e-4)
    assert new['difference']['mean'] == pytest.approx(2)
    path = evidence.write(report, tmp_path / 'out')
    row = next(r for r in path.read_text().splitlines() if '| new' in r)
    assert row.startswith('| new | 1.235 | 2.0000 | 3 | 52.18 ± 0.22 | +2.00')
    assert row.endswith('| better |')
    assert json.loads(path.with_suffix('.json').read_text())['name'] == 'c'
    assert path.with_suffix('.png').read_bytes()[:4] == b'\x89PNG'


def test_a_report_is_recorded_as_it_is_printed(comparison, tmp_path):
    report = report_of(comparison, tmp_path)
    path = tmp_path / 'results.json'
    before = dict(
        new=dict(paper='+4.2', seeds=2, metrics={}), gone=dict(seeds=3))
    path.write_text(json.dumps(dict(other=dict(arm=1), c=before)))
    evidence.record(report, path)
    kept = json.loads(path.read_text())
    assert kept['other'] == dict(arm=1) and kept['c']['gone'] == dict(seeds=3)
    new = kept['c']['new']
    assert (new['params'], new['macs'], new['seeds']) == (1.235, 2.0, 3)
    assert new['paper'] == '+4.2' and kept['c']['base']['paper'] is None
    found = new['metrics']['mIoU']['difference']
    assert (found['pairs'], found['baseline'], found['mean']) == (3, 50.18, 2.)
    arms = ['base', 'new']
    assert evidence.result_table([METRIC], arms, kept['c']) == (
        evidence.result_table([METRIC], arms, evidence.summary(report)))


@pytest.mark.parametrize('seeds, runs', [
    ([0], ['base', 'new']),
    ([0, 1, 2], ['new']),
], ids=['fewer seeds', 'no baseline'])
def test_a_record_is_not_replaced_by_less(comparison, tmp_path, seeds, runs):
    report = report_of(comparison, tmp_path)
    path = tmp_path / 'results.json'
    path.write_text('{}')
    evidence.record(report, path)
    text = path.read_text()
    for arm in comparison.arms:
        if arm.name not in runs:
            shutil.rmtree(tmp_path / 'w/runs' / evidence.run_folder(
                tmp_path / 'w', arm, arm.read(), 0).parent.name)
    less = evidence.collect(comparison, seeds, tmp_path / 'w', lambda _: None)
    with pytest.raises(ValueError, match='must be at least the 3 of results'):
        evidence.record(less, path)
    assert path.read_text() == text


def test_a_row_says_how_far_rates_and_offsets_came(comparison, tmp_path):
    class Moving(FakeTrainer):

        def __call__(self, arm, seed, folder, resume):
            way = ('' if arm.name == 'base' else
                   f'"offsets/moved": {1 + seed}.5, "rates/mean": {seed}.0, '
                   '"rates/channels": 0.3, "rates/samples": 0.0, '
                   '"rates/constant": 1.0, ')
            write_scalars(folder, [EVALUATION.replace(
                '"data_time"', f'{way}"data_time"')])
            return 0

    go(comparison, tmp_path, Moving())
    report = evidence.collect(
        comparison, [0, 1], tmp_path / 'w', lambda _: None)
    assert report['arms']['base']['moved'] == {}
    assert report['arms']['new']['moved']['offsets/moved'] == 2.
    told = ('rates 0.50; deviation over channels 0.30, over samples 0.000; '
            '100% of layers the same for all samples; offsets moved 2.00 px')
    head, _, base, new = evidence.result_table(
        [METRIC], ['base', 'new'], evidence.summary(report)).splitlines()
    assert head.endswith('| reading | rates and offsets |')
    assert base.endswith('| baseline |  |') and new.endswith(f'| {told} |')
    path = tmp_path / 'results.json'
    path.write_text('{"c": {"base": {"moved": "by hand", "metrics": {}, '
                    '"seeds": 1}}}')
    evidence.record(report, path)
    kept = json.loads(path.read_text())['c']
    assert kept['new']['moved'] == told
    assert kept['base']['moved'] == 'by hand'


def test_arms_that_were_not_run_lose_no_record(comparison, tmp_path):
    report = evidence.collect(
        comparison, [0], tmp_path / 'w', lambda _: None)
    path = tmp_path / 'results.json'
    path.write_text('{"c": {"new": {"seeds": 3}}}')
    evidence.record(report, path)
    assert json.loads(path.read_text()) == dict(c=dict(new=dict(seeds=3)))


@pytest.mark.parametrize('results, message', [
    ({'x': {}}, "comparison must be one of c, got 'x'"),
    ({'c': {'nwe': {}}}, "c: arm must be one of base, new, got 'nwe'"),
    ({'c': {'new': {'metrics': {'AP': {}}}}},
     "c, new: metric must be one of mIoU, got 'AP'"),
])
def test_a_name_that_has_drifted_is_found(
        comparison, tmp_path, results, message):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match=message):
        evidence.read_results(dict(c=comparison), path)


def page_with(tmp_path, *names):
    page = tmp_path / 'README.md'
    page.write_text('Before.\n' + ''.join(
        f'<!-- evidence: {name} -->\nold\n<!-- end of evidence -->\nText.\n'
        for name in names))
    return page


def test_a_page_is_filled_between_its_comments(comparison, tmp_path):
    page = page_with(tmp_path, 'arms', 'results c', 'all')
    results = dict(c=evidence.summary(report_of(comparison, tmp_path)))
    text = evidence.filled(page, dict(c=comparison), results)
    assert text.startswith('Before.\n') and text.count('Text.\n') == 3
    assert 'old' not in text
    base, new = comparison.arms
    assert f'| c | base (baseline) | [{base.config.stem}](' in text
    assert '| new | 1.235 | 2.0000 | 3 | 52.18 ± 0.22 | +2.00 [' in text
    assert '| [c](.) | new | base | mIoU (%) | 50.18 | +2.00 [' in text
    assert text.count('| better | none |  |') == 1
    page.write_text(text)
    assert evidence.filled(page, dict(c=comparison), results) == text


def test_an_arm_without_results_is_listed_as_not_run(comparison, tmp_path):
    page = page_with(tmp_path, 'results c', 'all')
    text = evidence.filled(page, dict(c=comparison), {})
    assert '| new | not run |' in text
    assert '| new | base | mIoU (%) | not run | not run |' in text
    base = evidence.summary(report_of(comparison, tmp_path))['base']
    text = evidence.filled(page, dict(c=comparison), dict(c=dict(base=base)))
    assert '| new | base | mIoU (%) | 50.18 | not run |' in text


@pytest.mark.parametrize('name, message', [
    ('al', "must be 'all', 'arms' or 'results NAME', got 'al'"),
    ('results d', "no comparison 'd'"),
])
def test_a_comment_that_names_no_table_is_an_error(
        comparison, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        evidence.filled(page_with(tmp_path, name), dict(c=comparison), {})


CONFIGS = evidence.DEFINITIONS.parents[3] / 'configs'
KNOWN = evidence.comparisons(CONFIGS)
PAIRS = [(c, arm) for c in KNOWN.values() for arm in c.arms
         if arm.name != c.baseline]
LOADERS = ('train_dataloader', 'val_dataloader')
# Unpadded networks want more image around the same labels, and the weight map
# and the deformation that arms leave out are steps of the pipeline.
OWN_CROPS = ('membranes-isbi2012', )
# Learning rates are what these compare.
OWN_RATES = ('offsets-lspet', 'tuning-camvid')
# What the arms of a comparison have in common, whole.
SHARED = (*LOADERS, 'val_evaluator', 'train_cfg', 'optim_wrapper',
          'param_scheduler', 'randomness')


@pytest.fixture(scope='module')
def read():
    """Reads an arm's config once, for all that share it."""
    kept = {}

    def of(arm) -> Config:
        if arm not in kept:
            kept[arm] = arm.read()
        return copy.deepcopy(kept[arm])

    return of


@pytest.mark.parametrize('name', KNOWN)
def test_a_comparison_has_a_baseline_and_a_claim(name):
    comparison = KNOWN[name]
    assert comparison.baseline in [arm.name for arm in comparison.arms]
    assert 'Table' in comparison.claim
    assert {m.better for m in comparison.metrics} <= {'higher', 'lower'}


@pytest.mark.parametrize(
    'comparison, arm', PAIRS, ids=[f'{c.name}-{a.name}' for c, a in PAIRS])
def test_arms_share_data_schedule_and_metrics(comparison, arm, read):
    pytest.importorskip(comparison.host)
    base = next(
        a for a in comparison.arms if a.name == comparison.baseline)
    ours, theirs = read(arm), read(base)
    assert ours.default_scope == theirs.default_scope == comparison.host
    read_by = [one.train_dataloader.dataset.pipeline for one in (ours, theirs)]
    if comparison.name in OWN_CROPS:
        for one in (ours, theirs):
            for loader in LOADERS:
                one[loader].dataset.pop('pipeline')
    if comparison.name in OWN_RATES:
        for one in (ours, theirs):
            one.optim_wrapper.pop('paramwise_cfg')
            one.optim_wrapper.optimizer.pop('lr')
    for key in SHARED:
        assert ours.get(key) == theirs.get(key), key
    assert (ours.model != theirs.model or read_by[0] != read_by[1]
            or comparison.name in OWN_RATES)


@pytest.mark.parametrize(
    'page', evidence.evidence_pages(CONFIGS), ids=lambda p: p.parent.name)
def test_a_page_holds_what_the_command_gives(page):
    results = evidence.read_results(KNOWN)
    assert page.read_text() == evidence.filled(page, KNOWN, results), (
        'python tools/evidence.py --pages')


@pytest.mark.parametrize('name', KNOWN)
def test_a_comparison_is_on_the_page_of_its_data(name):
    comparison = KNOWN[name]
    folder = evidence.page_of(comparison)
    assert {arm.config.parent for arm in comparison.arms} == {folder}
    assert folder == (
        CONFIGS / comparison.host / 'evidence' / name.rsplit('-', 1)[1])
    text = (folder / 'README.md').read_text()
    assert '<!-- evidence: arms -->' in text
    assert f'<!-- evidence: results {name} -->' in text
    assert f'python tools/evidence.py {name}' in text


def test_every_config_of_an_evidence_folder_is_an_arm():
    arms = {arm.config for c in KNOWN.values() for arm in c.arms}
    assert set(CONFIGS.glob('*/evidence/*/*.py')) == arms
    pages = evidence.evidence_pages(CONFIGS)
    assert {path.parent for path in arms} <= {page.parent for page in pages}


def test_every_picture_is_of_a_comparison_and_shown():
    for picture in CONFIGS.glob('*/evidence/*/*.png'):
        assert picture.stem in KNOWN
        assert f']({picture.name})' in (
            picture.with_name('README.md').read_text())
