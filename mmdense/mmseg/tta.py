"""Test time augmentation that merges probabilities, not classes alone."""
import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmdense.registry import MODELS


@MODELS.register_module()
class ProbabilityTTAModel(BaseTTAModel):
    """mmseg's ``SegTTAModel`` whose result holds the merged probabilities.

    mmseg's leaves the logits of the last view beside the classes of all, so
    that a metric that looks at logits (``MembraneMetric``) scores one view.
    Here ``seg_logits`` is the logarithm of the views' mean probability, or,
    of a single logit, the mean probability itself, as in a test of one view.
    All else, also what is true of the image, is that of its first view: in
    ``tta_pipeline`` the steps that load labels come after those that change
    the image.

    Args:
        **kwargs: Of mmengine's BaseTTAModel.
    """

    def merge_preds(
            self, data_samples_list: list[list[SegDataSample]]
    ) -> list[SegDataSample]:
        """Merge the samples of the views of each image."""
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views):
        single = len(views[0].seg_logits.data) == 1
        mean = torch.stack([
            view.seg_logits.data if single else
            view.seg_logits.data.softmax(0) for view in views
        ]).mean(0)
        if single:
            classes = mean > self.module.decode_head.threshold
        else:
            classes = mean.argmax(0, keepdim=True)
        merged = views[0]
        merged.seg_logits = PixelData(data=mean if single else mean.log())
        merged.pred_sem_seg = PixelData(data=classes.to(mean) if single
                                        else classes)
        return merged
