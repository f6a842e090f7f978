"""A hook that says how far rates and offsets have come from their start."""
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, cat, stack

from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.modules.feature_shift import ChannelShift
from mmdense.registry import HOOKS


@HOOKS.register_module()
class MovementHook(Hook):
    """Hook that adds the movement of rates and offsets to a validation.

    Logged beside the metrics, each a mean over the network's layers:

    * ``rates/mean``: of all rates of a layer over the validation set;
    * ``rates/channels``: standard deviation over a layer's channels of their
      mean over the samples;
    * ``rates/samples``: standard deviation over the samples, mean over the
      channels; zero where nothing adapts to the input;
    * ``rates/constant``: share of the layers whose rates are the same for
      every sample;
    * ``offsets/moved``: length of the way from the start of the training, in
      pixels of the layer's map. Left out in a training that was resumed,
      whose start is not known.

    A network that has neither logs nothing. In a distributed training the
    rates are those of the first process's share of the set. All rates of a
    validation are kept until the next one, 4 bytes each in main memory.
    """
    priority = 'NORMAL'  # before LoggerHook

    def __init__(self):
        self.rates: dict[str, list[Tensor]] = {}  # (N, g) of each batch
        self.start: dict[str, Tensor] = {}  # (K, 2)
        self.handles = []

    def before_train(self, runner: Runner) -> None:
        """Keep the offsets as they start, and listen to the rates.

        Args:
            runner (Runner): The runner, which holds the network.
        """
        for name, module in runner.model.named_modules():
            if isinstance(module, ChannelShift) and not runner.iter:
                self.start[name] = module.offset.detach().cpu().clone()
            elif isinstance(module, AdaptiveDilatedConv2d):
                self.handles.append(
                    module.rate_regression.register_forward_hook(
                        lambda regression, _, rates, name=name: None
                        if regression.training else self.rates.setdefault(
                            name, []).append(rates.detach().cpu())))

    def after_train(self, runner: Runner) -> None:
        """Stop listening.

        Args:
            runner (Runner): Not used.
        """
        while self.handles:
            self.handles.pop().remove()

    def before_val_epoch(self, runner: Runner) -> None:
        """Forget the rates of the last validation.

        Args:
            runner (Runner): Not used.
        """
        self.rates.clear()

    def after_val_epoch(self, runner: Runner, metrics=None) -> None:
        """Hand the figures to the log.

        Args:
            runner (Runner): The runner, which holds the network.
            metrics (dict, optional): Not used.
        """
        for name, value in self._figures(runner).items():
            runner.message_hub.update_scalar(f'val/{name}', float(value))

    def _figures(self, runner: Runner) -> dict[str, Tensor]:
        figures = {}
        if self.rates:
            layers = [cat(rates) for rates in self.rates.values()]
            figures = {
                'rates/mean': _mean(rates.mean() for rates in layers),
                'rates/channels': _mean(
                    rates.mean(0).std(correction=0) for rates in layers),
                'rates/samples': _mean(
                    rates.std(0, correction=0).mean() for rates in layers),
                'rates/constant': _mean(
                    (rates == rates[:1]).all().float() for rates in layers)
            }
        moved = [
            (module.offset.detach().cpu() - self.start[name]).norm(dim=1)
            for name, module in runner.model.named_modules()
            if name in self.start
        ]
        if moved:
            figures['offsets/moved'] = _mean(one.mean() for one in moved)
        return figures


def _mean(values) -> Tensor:
    return stack(list(values)).mean()
