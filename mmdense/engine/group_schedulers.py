"""Learning rate schedules for one group of parameters.

mmengine's schedulers change every parameter group alike. A group is given a
label in the optimizer's config, where it also gets its own start::

    optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
        'shift.offset': dict(lr_mult=2.0, group='offset')}))
    param_scheduler = [
        dict(type='mmdense.GroupStepLR', group='offset', step_size=1,
             gamma=0.9, end=1_000, convert_to_iter_based=True),
        dict(type='mmdense.GroupMultiStepLR', group='offset', inverse=True,
             milestones=[300_000, 330_000], gamma=0.5, by_epoch=False)]

In a training counted in iterations, a schedule by epochs needs an ``end``:
mmengine treats the whole training as one epoch, and would end the schedule
there.
"""
from mmengine.optim import MultiStepLR, StepLR

from mmdense.registry import PARAM_SCHEDULERS


class _OfGroup:
    """Mixin that limits a scheduler to some parameter groups.

    Args:
        optimizer (OptimWrapper): As in mmengine; so are all that follow.
        group (str): Label of the parameter groups, their entry ``group``.
        inverse (bool): Whether to use all other groups instead.

    Raises:
        TypeError: If ``group`` is not a string, or ``inverse`` is not a bool.
        ValueError: If no group has the label, and ``inverse`` is not set.
    """

    def __init__(self, optimizer, *args, group: str, inverse: bool = False,
                 **kwargs):
        if not isinstance(group, str):
            raise TypeError(f'group must be a string, got {group!r}')
        if not isinstance(inverse, bool):
            raise TypeError(f'inverse must be a bool, got {inverse!r}')
        self.group = group
        self.inverse = inverse
        labels = {g.get('group') for g in optimizer.param_groups} - {None}
        if group not in labels and not inverse:
            raise ValueError(
                f'{type(self).__name__}: group must be a label of the '
                f'optimizer, {sorted(labels)}, got {group!r}; '
                'label parameters in paramwise_cfg with '
                f"custom_keys={{KEY: dict(group='{group}')}}")
        super().__init__(optimizer, *args, **kwargs)

    def _get_value(self) -> list[float]:
        return [
            value if (group.get('group') == self.group) != self.inverse else
            group[self.param_name] for value, group in zip(
                super()._get_value(), self.optimizer.param_groups, strict=True)
        ]


@PARAM_SCHEDULERS.register_module()
class GroupStepLR(_OfGroup, StepLR):
    """mmengine's ``StepLR`` for one group: see :class:`_OfGroup`."""


@PARAM_SCHEDULERS.register_module()
class GroupMultiStepLR(_OfGroup, MultiStepLR):
    """mmengine's ``MultiStepLR`` for one group: see :class:`_OfGroup`."""
