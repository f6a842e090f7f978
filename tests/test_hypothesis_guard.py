"""That the tests over any arguments leave no public name out."""
import ast
from pathlib import Path

import pytest
from by_path import module_at

import mmdense.datasets
import mmdense.ops

ROOT = Path(mmdense.__file__).parent
HOSTS = ('mmpose', 'mmseg', 'mmdet')
FILES = sorted(Path(__file__).parent.glob('test_hypothesis_*.py'))
ANALYSES = ('keypoint_errors', 'receptive_field')
# Parts of other classes and functions, reached through those.
PARTS = ('HiddenLinear', 'RateLinear', 'read_old_bias', 'build_for_pattern',
         'first_names')
# To look at a class is not to use it.
LOOKS = ('isinstance', 'issubclass', 'callable')


def is_registered(part):
    """Those have tests of their own: see any_registered.py."""
    return any('register_module' in ast.unparse(d)
               for d in part.decorator_list)


def public_names():
    """Of every function and class that has arguments to get wrong."""
    hosts = [file for host in HOSTS for file in (ROOT / host).glob('*.py')
             # Asks a whole network of the host.
             if file.stem != 'prediction']
    files = [
        ROOT / 'arguments.py', *(ROOT / 'modules').glob('*.py'),
        *(ROOT / 'metrics').glob('*.py'),
        *(file for file in (ROOT / 'adapters').glob('*.py')
          if file.stem != 'prediction'), *hosts,
        *(ROOT / 'analysis' / f'{name}.py' for name in ANALYSES),
        # What draws the synthetic sets is reached through make_*_set, but for
        # the slices of membranes, which are public.
        ROOT / 'datasets' / 'synthetic' / 'membranes.py',
        *(file for file in (ROOT / 'datasets').glob('*.py')
          if file.stem != 'writing')
    ]
    again = mmdense.datasets.__all__
    for file in files:
        for part in ast.parse(file.read_text()).body:
            if isinstance(part, ast.FunctionDef | ast.ClassDef) and not (
                    part.name.startswith('_') or part.name in again
                    or part.name in PARTS
                    or file in hosts and is_registered(part)):
                folder = file.relative_to(ROOT.parent).with_suffix('')
                yield '.'.join((*folder.parts, part.name))
    for module in (mmdense.datasets, mmdense.ops):
        for name in module.__all__:
            yield f'{module.__name__}.{name}'


def imports(tree):
    """What each name of a test file stands for."""
    found = dict(mmdense='mmdense')
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = \
                    f'{node.module}.{alias.name}'
    return found


def used(node):
    """Parts that are called, or given to a call, a list or a table."""
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) in LOOKS:
            return
        yield from [node.func, *node.args, *(k.value for k in node.keywords)]
    elif isinstance(node, ast.Dict):
        yield from [*node.keys, *node.values]
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        yield from node.elts
    for child in ast.iter_child_nodes(node):
        yield from used(child)


def used_names(source):
    tree = ast.parse(source)
    known = imports(tree)
    for node in used(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name, *rest = ast.unparse(node).split('.')
            if known.get(name, '').startswith('mmdense'):
                yield '.'.join((known[name], *rest))


def test_every_public_name_is_given_any_arguments():
    names = {name for file in FILES for name in used_names(file.read_text())}
    assert sorted(set(public_names()) - names) == []


def test_an_import_and_a_look_are_no_use():
    names = set(used_names('''
from mmdense.modules import u_net
from mmdense.modules.flattening import FlatteningModule, RegularConv
assert isinstance(x, (u_net.UNet, RegularConv))
for kind in (FlatteningModule, ):
    u_net.works(3)
'''))
    assert names == {
        'mmdense.modules.flattening.FlatteningModule',
        'mmdense.modules.u_net.works'}


def test_every_registered_class_is_given_any_arguments():
    for host in HOSTS:
        pytest.importorskip(host)
    from any_registered import TESTED

    import mmdense.locations  # noqa: F401
    from mmdense import registry
    for file in FILES:
        if file.name != Path(__file__).name:
            # Its decorators fill TESTED.
            module_at(file)
    there = {kind.__name__ for name in registry.__all__
             for kind in getattr(registry, name).module_dict.values()
             if kind.__module__.split('.')[1] in (*HOSTS, 'engine')}
    assert there == TESTED
