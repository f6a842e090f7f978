"""Base of our metrics, and an evaluator of several that takes ``--out``."""
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric, Evaluator
from mmseg.evaluation import IoUMetric

from mmdense.registry import EVALUATORS


class SegMetric(BaseMetric):
    """Base of metrics that take the options of ``tools/test.py --out DIR``.

    Args:
        output_dir (str, optional): Folder for the predicted label maps, as
            mmseg's ``IoUMetric`` writes them.
        keep_results (bool): Set by mmseg's ``tools/test.py``; not used.
        **kwargs: Of mmengine's BaseMetric.
    """

    def __init__(self,
                 output_dir: str | None = None,
                 keep_results: bool = False,
                 **kwargs):
        super().__init__(**kwargs)
        self.writer = _writer(output_dir)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the predictions of one batch and judge them.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Predictions of mmseg's segmentors.
        """
        if self.writer is not None:
            self.writer.dataset_meta = self.dataset_meta
            self.writer.process(data_batch, data_samples)
        for sample in data_samples:
            self.results.append(self.judge(sample))


@EVALUATORS.register_module()
class SegEvaluator(Evaluator):
    """Several metrics as the one evaluator that mmseg's script takes.

    ``tools/test.py --out DIR`` of mmseg sets ``output_dir`` in
    ``test_evaluator``, which must be a dict for it.

    Args:
        metrics (dict | Sequence[dict]): As in mmengine's Evaluator.
        output_dir (str, optional): Folder for the predicted label maps.
        keep_results (bool): Set by the same script.
    """

    def __init__(self,
                 metrics: dict | Sequence[dict],
                 output_dir: str | None = None,
                 keep_results: bool = False):
        super().__init__(metrics)
        writer = _writer(output_dir)
        if writer is not None:
            self.metrics.append(writer)


def _writer(output_dir):
    """Return the part of mmseg's metric that writes predictions."""
    if output_dir is None:
        return None
    return IoUMetric(format_only=True, output_dir=output_dir)
