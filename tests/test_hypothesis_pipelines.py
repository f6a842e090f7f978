"""Any arguments for the steps of a segmentor's pipeline."""
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from any_arguments import mirrored
from any_registered import any_arguments_of
from hypothesis import strategies as st

from mmdense.datasets.border_weights import border_weights

pytest.importorskip('mmseg')


def picture(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 9, 2)
    label = rng.integers(0, 2, size).astype(np.uint8)
    return dict(
        img=rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        gt_seg_map=label, seg_fields=['gt_seg_map'], img_shape=tuple(size),
        seg_map_path='x.png')


@any_arguments_of(
    'LabelsFromValues', values=st.lists(
        st.sampled_from([0, 1, 7, 128, 255, 300, 65_535]), min_size=1,
        max_size=4, unique=True))
def test_labels_from_values(step, given, seed):
    rng = np.random.default_rng(seed)
    values = [*given['values'], *[-3, 8, 256, 70_000][:seed % 5]]
    label = rng.choice(values, (2, 5)).astype(
        [np.uint8, np.uint16, np.int32, np.int64][seed % 4])
    if seed % 4 == 0 and max(given['values']) > 255:
        with pytest.raises(ValueError, match='must fit the 8 bits of x.png'):
            step(dict(picture(seed), gt_seg_map=label))
        return
    strange = sorted(set(label.ravel().tolist()) - set(given['values']))
    results = dict(picture(seed), gt_seg_map=label)
    if strange:
        with pytest.raises(ValueError, match=rf'x\.png: .*{strange[-1]}'):
            step(results)
        return
    assert step(results)['gt_seg_map'].tolist() == [
        [list(given['values']).index(v) for v in row]
        for row in label.tolist()]


@any_arguments_of(
    'BorderWeights',
    cache_dir=st.sampled_from([None, 'maps', Path('maps')]),
    cell=st.integers(0, 2), w0=st.sampled_from([1, 10.0]),
    sigma=st.sampled_from([0.5, 5]), ignore_index=st.sampled_from([255, 1]),
    frequencies=st.sampled_from([None, (0.25, 0.75)]))
def test_border_weights(step, given, seed):
    options = {k: v for k, v in given.items() if k != 'cache_dir'}
    with tempfile.TemporaryDirectory() as folder:
        if step.cache_dir is not None:
            step.cache_dir = Path(folder) / step.cache_dir
        for _ in range(2):
            results = step(picture(seed))
            np.testing.assert_array_equal(
                results['gt_weight_map'],
                border_weights(results['gt_seg_map'], **options))
    assert results['seg_fields'] == ['gt_seg_map', 'gt_weight_map']


@any_arguments_of(
    'ElasticDeformation', std=st.sampled_from([0, 1, 10.0]),
    grid=st.integers(2, 4))
def test_elastic_deformation(step, given, seed):
    before, after = picture(seed), step(picture(seed))
    for key in ('img', 'gt_seg_map'):
        assert after[key].shape == before[key].shape
        assert after[key].dtype == before[key].dtype
        if given['std'] == 0:
            np.testing.assert_array_equal(after[key], before[key])
    assert after['gt_seg_map'].max() < 2


@any_arguments_of('MirrorPad', context=st.integers(0, 9))
def test_mirror_pad(step, given, seed):
    before, after, margin = picture(seed), step(picture(seed)), step.context
    for key in ('img', 'gt_seg_map'):
        height, width = before[key].shape[:2]
        rows, columns = (
            [mirrored(k - margin, side) for k in range(side + 2 * margin)]
            for side in (height, width))
        np.testing.assert_array_equal(
            after[key], before[key][rows][:, columns])
    assert after['img_shape'] == after['img'].shape[:2]


@any_arguments_of('PackWeightedSegInputs')
def test_pack_weighted_seg_inputs(step, given, seed):
    results = picture(seed)
    with pytest.raises(KeyError, match='put BorderWeights earlier'):
        step(results)
    results['gt_weight_map'] = np.random.default_rng(seed).random(
        results['img_shape'])
    packed = step(results)
    assert packed['inputs'].shape == (3, *results['img_shape'])
    np.testing.assert_array_equal(
        packed['data_samples'].gt_weight_map.data[0],
        results['gt_weight_map'])


def picture_of(ids, suffix, folder='label'):
    root = Path(tempfile.mkdtemp())
    (root / folder).mkdir()
    (root / 'label').mkdir(exist_ok=True)
    assert cv2.imwrite(str(root / folder / f'a.{suffix}'), ids)
    return dict(seg_map_path=str(root / f'label/a.{suffix}'), seg_fields=[])


def numbers(seed):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 1, 255, 256, 65_535], rng.integers(2, 9, 2)).astype(
        np.uint16)


@any_arguments_of('LoadLabels')
def test_load_labels(step, given, seed):
    ids = numbers(seed)
    results = step(picture_of(ids, ['png', 'tif'][seed % 2]))
    np.testing.assert_array_equal(results['gt_seg_map'], ids)
    assert results['seg_fields'] == ['gt_seg_map']
    assert step(dict(img=0)) == dict(img=0)


@any_arguments_of('LoadInstances', folder=st.sampled_from([None, 'instance']))
def test_load_instances(step, given, seed):
    ids = numbers(seed)
    results = step(picture_of(ids, ['png', 'tif'][seed % 2],
                              given['folder'] or 'label'))
    np.testing.assert_array_equal(results['gt_instance_map'], ids)
    assert results['seg_fields'] == ['gt_instance_map']


@any_arguments_of(
    'MaskFromInstances', margin=st.integers(0, 2),
    background=st.integers(0, 1), ignore_index=st.sampled_from([255, 7]))
def test_mask_from_instances(step, given, seed):
    ids = numbers(seed)
    label = np.where(ids > 0, 3, given['background']).astype(np.uint8)
    label[0] = given['ignore_index']
    results = step(dict(gt_instance_map=ids, gt_seg_map=label.copy(),
                        seg_map_path='x', seg_fields=[]))
    reach = given['margin']
    for y, x in np.ndindex(*ids.shape):
        near = ids[max(0, y - reach):y + reach + 1,
                   max(0, x - reach):x + reach + 1]
        cut = ids[y, x] and set(near.ravel().tolist()) - {0, int(ids[y, x])}
        cut = cut and label[y, x] != given['ignore_index']
        assert results['gt_seg_map'][y, x] == (
            given['background'] if cut else label[y, x])


@any_arguments_of('PackInstanceSegInputs')
def test_pack_instance_seg_inputs(step, given, seed):
    results = picture(seed)
    with pytest.raises(KeyError, match='put LoadInstances earlier'):
        step(results)
    results['gt_instance_map'] = 300 * results['gt_seg_map'].astype(np.uint16)
    packed = step(results)
    np.testing.assert_array_equal(
        packed['data_samples'].gt_instance_map.data[0],
        results['gt_instance_map'])


@any_arguments_of(
    'LoadDepth', folder=st.sampled_from(['depth', 'raw']),
    suffix=st.sampled_from(['.png', '.tif']), unit=st.sampled_from([1, 0.001]))
def test_load_depth(step, given, seed):
    found = picture_of(numbers(seed), 'png', given['folder'])
    path = Path(found['seg_map_path']).parents[1] / given['folder'] / 'a.png'
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    path.rename(path.with_suffix(given['suffix']))
    results = step(dict(
        img=np.zeros((*depth.shape, 3)),
        img_path=str(path.parents[1] / 'images' / 'a.jpg')))
    np.testing.assert_allclose(
        results['depth'], depth * given['unit'], rtol=1e-6)


@any_arguments_of(
    'EncodeHHA',
    camera=st.sampled_from([(9, 9, 2, 2), [500., 500., 320., 240.]]),
    gravity=st.sampled_from([None, (0, 1, 0)]), radius=st.integers(1, 3))
def test_encode_hha(step, given, seed):
    depth = numbers(seed).astype(np.float32)
    assert step(dict(depth=depth))['hha'].shape == (*depth.shape, 3)


@any_arguments_of(
    'StackParts', parts=st.lists(
        st.sampled_from(['colour', 'depth', 'hha']), min_size=1, max_size=3))
def test_stack_parts(step, given, seed):
    image = picture(seed)['img']
    found = step(dict(img=image, depth=image[..., 0] / 9, hha=image / 3))
    sizes = dict(colour=3, depth=1, hha=3)
    assert found['img'].shape == (
        *image.shape[:2], sum(sizes[part] for part in given['parts']))
