"""Training steps of any config on noise."""
import copy
from collections.abc import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import TRANSFORMS, DefaultScope

from mmdense import networks
from mmdense.networks.config_types import type_name

WAYS = ('eager', 'bfloat16', 'compile')


def _pose_labels(config: Config, random, height: int, width: int) -> dict:
    joints = config.model.head.out_channels
    box = np.array([[0, 0, width, height]], np.float32)
    points = random.uniform((0, 0), (width, height), (1, joints, 2))
    return dict(
        bbox=box,
        bbox_center=(box[:, :2] + box[:, 2:]) / 2,
        bbox_scale=box[:, 2:] - box[:, :2],
        bbox_score=np.ones(1, np.float32),
        input_size=(width, height),
        keypoints=points.astype(np.float32),
        transformed_keypoints=points.astype(np.float32),
        keypoints_visible=np.ones((1, joints), np.float32),
        dataset_keypoint_weights=np.ones(joints, np.float32),
        flip_indices=list(range(joints)))


def _segmentation_labels(config, random, height, width) -> dict:
    heads = config.model.decode_head
    head = heads[-1] if isinstance(heads, list) else heads
    labels = random.integers(0, head.num_classes, (height, width))
    return dict(
        gt_seg_map=labels.astype(np.uint8),
        # U-Net's, whose pipeline packs it as well.
        gt_weight_map=np.ones((height, width), np.float32),
        reduce_zero_label=False)


def _detection_labels(config, random, height, width) -> dict:
    heads = config.model.get('roi_head', config.model)['bbox_head']
    head = heads[-1] if isinstance(heads, list) else heads
    instances = []
    for _ in range(3):
        x, y = random.uniform((0, 0), (width / 2, height / 2))
        w, h = random.uniform(8, (width / 2, height / 2))
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        instances.append(
            dict(
                bbox=[x, y, x + w, y + h],
                bbox_label=int(random.integers(head.num_classes)),
                ignore_flag=0,
                mask=[outline]))
    return dict(instances=instances, height=height, width=width)


# What a host's data set, or its pipeline, has made of the labels, and the
# transforms that take them from there to the last one, which packs.
LABELS = dict(
    mmpose=(_pose_labels, ('GenerateTarget', )),
    mmseg=(_segmentation_labels, ()),
    mmdet=(_detection_labels, ('LoadAnnotations', )))


def random_batch(config: Config, batch: int = 2, seed: int = 0) -> dict:
    """Return noise with random labels, in the form of a config's data loader.

    Args:
        config (Config): Config of any host. It sets the size, the channels of
            the target and the kind of samples.
        batch (int): Number of images.
        seed (int): Seed of images and labels.

    Returns:
        dict: ``inputs``, uint8 images (C, H, W), and ``data_samples``, for the
        data preprocessor of the model.
    """
    random = np.random.default_rng(seed)
    height, width = networks.input_shape(config)
    labels, needed = LABELS[config.default_scope]
    # Streams of a backbone have channels of their own; the mean knows all.
    mean = (config.model.get('data_preprocessor') or {}).get('mean')
    channels = len(mean) if mean else config.model.backbone.get(
        'in_channels', 3)
    dataset = config.train_dataloader.dataset
    while 'pipeline' not in dataset:
        dataset = dataset.dataset
    samples = []
    with DefaultScope.overwrite_default_scope(config.default_scope):
        transforms = [
            TRANSFORMS.build(step) for step in dataset.pipeline
            if type_name(step) in needed or step is dataset.pipeline[-1]
        ]
        for index in range(batch):
            sample = dict(
                img=random.integers(0, 256, (height, width, channels),
                                    np.uint8),
                img_id=index,
                img_path='noise',
                ori_shape=(height, width),
                img_shape=(height, width),
                scale_factor=(1., 1.),
                flip=False,
                flip_direction=None,
                **labels(config, random, height, width))
            for transform in transforms:
                sample = transform(sample)
            samples.append(sample)
    return {key: [s[key] for s in samples] for key in samples[0]}


def training_step(config: Config,
                  batch: int = 2,
                  way: str = 'eager') -> Callable[[], float]:
    """Prepare one training step of a config on one random batch.

    The weights are the initial ones, the batch is the same at every call, and
    the optimizer is that of the config.

    Args:
        config (Config): Config of any host.
        batch (int): Number of images.
        way (str): ``'eager'``, ``'bfloat16'`` (under autocast, as mmengine's
            ``AmpOptimWrapper`` does it) or ``'compile'`` (as ``compile =
            True`` in a config does it).

    Returns:
        Callable: Does one step and returns its loss.

    Raises:
        ValueError: If ``way`` is unknown, or the host cannot build the
            network.
    """
    if way not in WAYS:
        raise ValueError(f'way must be one of {WAYS}, got {way!r}')
    # A copy, because mmseg writes into the config it builds from.
    config = copy.deepcopy(config)
    if config.default_scope == 'mmpose':
        # Its accuracy is counted in numpy, which has no bfloat16.
        config.merge_from_dict({'model.train_cfg': dict(compute_acc=False)})
    model = networks.build_model(config).train()
    with DefaultScope.overwrite_default_scope(config.default_scope):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    data = random_batch(config, batch)
    step = model.train_step
    if way == 'compile':
        step = torch.compile(step)

    def run() -> float:
        device = next(model.parameters()).device.type
        with torch.autocast(
                device, torch.bfloat16, enabled=way == 'bfloat16'):
            return float(step(data, wrapper)['loss'])

    return run
