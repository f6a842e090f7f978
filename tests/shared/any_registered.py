"""Any arguments for a registered class: a decorator makes the test.

What a class hands on to its host is right always: a wrong one is the host's
to refuse.
"""
import contextlib
import functools
from collections import OrderedDict

import pytest
import torch
from any_arguments import (
    SEED,
    arguments,
    close,
    profile,
    refusal_names,
    seeded,
)
from any_arguments import WRONG as MISTAKES
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope

WIDTH = st.integers(1, 3)
WRONG = st.one_of(MISTAKES, st.sampled_from([
    {}, [], [0, 0], [1, 'a'], (0.5, ), dict(type=None), dict(type=[1]),
    dict(type='VGG16', dropout=2), dict(type='AlexNet', depth=3),
    dict(type='GoogLeNet', dropout='a'),
    dict(type='FeaturePyramidAttention', kernel_sizes='a'),
    dict(type='SqueezeExciteAttention', reduction=99),
    dict(type='RoIPool', output_size='a'), dict(type='RoIPool', bins=2),
    dict(type='RoIWarp', output_size=2, pool_mode='min'),
    dict(type='RoIWarp', output_size=2, sampling_ratio=-1),
    dict(shift_channels=0), dict(attention='x'), dict(kernel_size=2),
    dict(low_channels=3), dict(tile='a'), dict(tile=(2, 2))]))
# A registry has its own words for an unknown type of these.
BUILT = ('metric', 'norm_cfg')
# To these it is an option as any other.
UNTYPED = ('shift', 'upsample', 'test_cfg')
# The classes that have a test; test_hypothesis_guard.py compares them with
# those that are registered.
TESTED = set()


@contextlib.contextmanager
def no_host_in_charge():
    """Within it, a scope that an earlier test has left does not count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefaultScope, '_instance_dict', OrderedDict())
        yield


def any_arguments_of(*names, host=None, **own):
    """Make a function the test of registered classes.

    It builds each with right arguments, or with all right but one, which has
    to be refused by name.

    Args:
        *names (str): The classes, all of the same arguments.
        host (dict): Strategies of what the class hands on: never wrong.
        **own: By argument, a strategy of right values.

    Returns:
        Callable: Decorates ``test(built, given, seed)``, which asserts that
        what was built from ``given`` does what it is for.
    """
    TESTED.update(names)

    def decorate(works):
        assert works.__name__.startswith('test_'), works.__name__

        def test(name, case, more, seed):
            with no_host_in_charge():
                build_and_use(name, works, case, more, seed)

        test.__name__ = test.__qualname__ = works.__name__
        test.__module__, test.__doc__ = works.__module__, works.__doc__
        test = given(
            case=arguments(WRONG, **own) if own else st.just(({}, None)),
            more=st.fixed_dictionaries(host or {}), seed=SEED)(test)
        return pytest.mark.parametrize('name', names)(settings(profile)(test))

    return decorate


def registered(name):
    import mmdense.locations  # noqa: F401
    from mmdense import registry
    kinds = [getattr(registry, kind).module_dict for kind in registry.__all__]
    return next(kind[name] for kind in kinds if name in kind)


@torch.no_grad()
def build_and_use(name, works, case, more, seed):
    own, spoilt = case
    wrong = own.get(spoilt)
    options = list(wrong) if isinstance(wrong, dict) else []
    if spoilt in BUILT and 'type' in options:
        return
    everything = dict(own, **more)
    try:
        built = seeded(functools.partial(registered(name), **everything))
        works(built, everything, seed)
    except (TypeError, ValueError) as error:
        if spoilt is None:
            raise
        if spoilt not in UNTYPED:
            options = [option for option in options if option != 'type']
        refusal_names(error, [spoilt, *options])


def assert_alone(network, maps, whole):
    """What the first sample gives does not depend on the second."""
    assert torch.isfinite(whole).all()
    close(whole[:1], network([m if m is None else m[:1] for m in maps]))
