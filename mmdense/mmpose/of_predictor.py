"""Metrics of the host for one of several predictors."""
from collections.abc import Sequence

from mmpose.registry import METRICS as HOST_METRICS

from mmdense.arguments import check_config, check_sequence
from mmdense.registry import METRICS


def by_predictor(evaluator: dict | Sequence[dict],
                 names: Sequence[str]) -> list[dict]:
    """Apply every metric of a ``test_evaluator`` to every predictor.

    Args:
        evaluator (dict | Sequence[dict]): The metrics' configs.
        names (Sequence[str]): Names of the predictors.

    Returns:
        list[dict]: Configs of :class:`OfPredictor`. What a metric called
        ``PCK`` is now ``<name>/PCK``, and ``0.1/PCK`` ``<name>/0.1/PCK``.

    Raises:
        TypeError, ValueError: If a metric is not a config, or a name is not a
            string.
    """
    metrics = [evaluator] if isinstance(evaluator, dict) else evaluator
    check_sequence(evaluator=metrics, names=names)
    for metric in metrics:
        check_config(evaluator=metric)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f'names must be strings, got {names!r}')
    return [
        dict(
            type='mmdense.OfPredictor',
            predictor=name,
            metric=dict(
                metric,
                prefix='/'.join(
                    filter(None, [name, metric.get('prefix')]))))
        for name in names for metric in metrics
    ]


@METRICS.register_module()
class OfPredictor:
    """Metric of the host, computed on the keypoints of one predictor.

    Needs ``model.test_cfg.every_predictor=True``. A network's accuracy stage
    by stage (Table 2 of the Spatial Shortcut Network)::

        test_evaluator = [
            dict(type='CocoMetric', ...),
            dict(type='mmdense.OfPredictor', predictor='E1',
                 metric=dict(type='CocoMetric', ..., prefix='E1'))]

    Args:
        predictor (str): Its name in :class:`MultiPredictorHead`.
        metric (dict): Config of the host's metric.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``metric`` has no type; in ``process``, if the samples
            do not carry the predictor.
    """

    def __init__(self, predictor: str, metric: dict):
        if not isinstance(predictor, str):
            raise TypeError(f'predictor must be a string, got {predictor!r}')
        check_config(metric=metric)
        self.predictor = predictor
        self.metric = HOST_METRICS.build(metric)

    @property
    def dataset_meta(self) -> dict | None:
        return self.metric.dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self.metric.dataset_meta = meta

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Pass on the samples with the keypoints of this predictor."""
        self.metric.process(data_batch,
                            [self._of(sample) for sample in data_samples])

    def evaluate(self, size: int) -> dict:
        """Return the result of the metric."""
        return self.metric.evaluate(size)

    def _of(self, sample: dict) -> dict:
        instances = dict(sample['pred_instances'].items())
        name = f'{self.predictor}_keypoints'
        if name not in instances:
            raise ValueError(
                f'OfPredictor: pred_instances must have {name}, got '
                f'{sorted(instances)}; does the head have a predictor '
                f'{self.predictor}, and model.test_cfg '
                'every_predictor=True?')
        keypoints = instances[name].copy()
        # From the network's input to the image, as the host's estimator does
        # for the answer.
        keypoints[..., :2] = (
            keypoints[..., :2] / sample['input_size'] * sample['input_scale']
            + sample['input_center'] - 0.5 * sample['input_scale'])
        instances.update(
            keypoints=keypoints,
            keypoint_scores=instances[f'{self.predictor}_scores'])
        return dict(sample, pred_instances=instances)
