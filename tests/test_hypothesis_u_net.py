"""Any arguments for the parts of the U-Net and for its tiles."""
import functools

import pytest
import torch
import torch.nn.functional as F
from any_arguments import (
    NO_MAP,
    SEED,
    WRONG,
    arguments,
    attempt,
    close,
    mirrored,
    profile,
    refusal_names,
    seeded,
    tensor,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdense.modules import u_net
from mmdense.modules.overlap_tile import (
    mirrored_index,
    overlap_tile,
    tile_starts,
)

CHANNELS = st.integers(1, 4)


def naive_output(size, depth):
    """Level by level; None where it does not fit."""
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = 2 * size - 4
    return size if size > 0 else None


@settings(profile)
@given(arguments(size=st.integers(1, 300), depth=st.integers(1, 4)))
def test_sides_of_a_u_net(case):
    given, spoilt = case
    if attempt(u_net.works, case) is None:
        for function in (u_net.output_size, u_net.nearest_sizes):
            assert attempt(function, case) is None
        assert spoilt == 'size' or attempt(
            u_net.context, (dict(depth=given['depth']), 'depth')) is None
        assert attempt(u_net.covering_size, (
            dict(output=given['size'], depth=given['depth']),
            dict(size='output').get(spoilt, spoilt))) is None
        return
    size, depth = given['size'], given['depth']
    expected = naive_output(size, depth)
    assert u_net.works(size, depth) == (expected is not None)
    fits = [s for s in range(1, size + 300) if naive_output(s, depth)]
    below = [s for s in fits if s <= size]
    above = min(s for s in fits if s >= size)
    if size > 0:
        assert u_net.nearest_sizes(size, depth) == (
            below[-1] if below else None, above)
        covering = min(s for s in fits if naive_output(s, depth) >= size)
        assert u_net.covering_size(size, depth) == covering
    if expected is None:
        with pytest.raises(ValueError, match=rf'{size}.*{above}$|size must'):
            u_net.output_size(size, depth)
        return
    assert u_net.output_size(size, depth) == expected
    assert size - expected == 2 * u_net.context(depth)


def naive_u_net(net, x, level=0):
    """A level and, between its two halves, all that lies below."""
    def convolved(x, layers):
        for layer in (layers[0], layers[2]):
            x = F.conv2d(x, layer.weight, layer.bias).relu()
        return x

    x = convolved(x, net.down[level])
    if level == net.depth:
        return x
    below = naive_u_net(net, F.max_pool2d(x, 2), level + 1)
    up = net.up_convs[net.depth - 1 - level]
    below = F.conv_transpose2d(below, up.weight, up.bias, stride=2)
    edge = [(a - b) // 2 for a, b in zip(
        x.shape[2:], below.shape[2:], strict=True)]
    x = F.pad(x, (-edge[1], -edge[1], -edge[0], -edge[0]))
    return convolved(torch.cat([x, below], 1), net.up[net.depth - 1 - level])


@settings(profile)
@given(
    arguments(in_channels=CHANNELS, base_channels=st.integers(1, 2),
              depth=st.integers(1, 2), dropout=st.sampled_from([0, .5, 1])),
    arguments(NO_MAP, x=st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_a_u_net_is_its_two_paths(case, image):
    net = attempt(lambda **given: seeded(lambda: u_net.UNet(**given)), case)
    if net is None:
        return
    (given, spoilt), (arguments, _) = image, case
    if spoilt is None:
        sides = [u_net.covering_size(1 + s, net.depth) for s in given['x']]
        given = dict(x=tensor((2, arguments['in_channels'], *sides), 0))
    with torch.no_grad():
        try:
            out = net.eval()(**given)
        except (TypeError, ValueError) as error:
            assert spoilt
            refusal_names(error, ['x', 'side'])
            return
        close(out, naive_u_net(net, given['x']))


@settings(profile)
@given(
    arguments(start=st.integers(-20, 0), stop=st.integers(0, 20),
              size=st.integers(1, 9)),
    arguments(size=st.integers(1, 40), output=st.integers(4, 20),
              alignment=st.integers(1, 4)))
def test_lines_are_mirrored_and_covered(line, tiles):
    found = attempt(mirrored_index, line)
    if found is not None:
        given, _ = line
        assert found.tolist() == [
            mirrored(p, given['size'])
            for p in range(given['start'], given['stop'])]
    found = attempt(tile_starts, tiles)
    if found is None:
        return
    size, output, alignment = tiles[0].values()
    covered = {s + k for s in found for k in range(output)}
    assert covered >= set(range(size))
    assert all(s % alignment == 0 for s in found)
    # None too many: the last one is needed.
    assert len(found) == 1 or max(found[:-1]) + output < size


@functools.cache
def small_u_net(depth):
    return seeded(lambda: u_net.UNet(1, 1, depth)).double().eval()


@settings(profile)
@given(
    arguments(
        st.one_of(WRONG, NO_MAP),
        network=st.just(None), image=st.tuples(
            st.integers(1, 2), st.just(1), st.integers(1, 30),
            st.integers(1, 30)),
        tile=st.tuples(st.integers(0, 12), st.integers(0, 12)),
        context=st.just(None), alignment=st.just(None)),
    st.sampled_from([1, 1, 1, 2]), SEED)
def test_tiles_give_what_the_whole_image_gives(case, depth, seed):
    given, spoilt = case
    net, step, context = small_u_net(depth), 2**depth, u_net.context(depth)
    right = dict(
        network=net, context=context, alignment=step,
        tile=spoilt != 'tile' and [
            2 * context + step * (1 + k) for k in given['tile']],
        image=spoilt != 'image' and tensor(given['image'], seed))
    given = {name: value if name == spoilt else right[name]
             for name, value in given.items()}
    if isinstance(given['image'], torch.Tensor):
        given['image'] = given['image'].double()
    with torch.no_grad():
        try:
            out = overlap_tile(**given)
        except (TypeError, ValueError) as error:
            # With another context, the network may refuse the tile itself.
            refusal_names(error, [spoilt, 'network', 'tile', 'x',
                                  'image side'])
            assert spoilt
            return
        image = given['image']
        for axis in (2, 3):
            size = image.shape[axis]
            whole = u_net.covering_size(size, depth)
            image = image.index_select(axis, torch.tensor([
                mirrored(p - context, size) for p in range(whole)]))
        whole = net(image)[..., :out.shape[2], :out.shape[3]]
    assert out.shape[2:] == given['image'].shape[2:]
    torch.testing.assert_close(out, whole)
