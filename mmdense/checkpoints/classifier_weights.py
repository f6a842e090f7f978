"""Conversion of classifier weights to those of a backbone."""
from torch import Tensor, nn

__all__ = ['convert_classifier']


def convert_classifier(classifier: dict[str, Tensor],
                       network: nn.Module) -> dict[str, Tensor]:
    """Turn a classifier's weights into a backbone's.

    A matrix (out, in k k) of a fully connected layer becomes the kernel (out,
    in, k, k) of the convolution that covers the layer's whole input (J. Long
    et al., CVPR 2015, Section 3.1). The class layer and the auxiliary
    classifiers are left out.

    Args:
        classifier (dict[str, Tensor]): The published weights, by name.
        network (nn.Module): Its ``classifier_key`` maps the names of its own
            state dict to those; not changed.

    Returns:
        dict[str, Tensor]: Weights for all of ``network``.

    Raises:
        ValueError: If a weight is missing or has another shape.
    """
    weights = {}
    for name, ours in network.state_dict().items():
        key = network.classifier_key(name)
        if key not in classifier:
            raise ValueError(f'the classifier must have {key}, for {name} '
                             f'{tuple(ours.shape)}, got no such weight')
        theirs = classifier[key]
        fits = theirs.shape == ours.shape or (
            theirs.dim() == 2 and ours.dim() == 4
            and theirs.shape == ours.flatten(1).shape)
        if not fits:
            wanted = tuple(ours.shape)
            if theirs.dim() == 2 and ours.dim() == 4:
                wanted = f'{tuple(ours.flatten(1).shape)} for the kernel ' \
                         f'{wanted}'
            raise ValueError(f'{key} must have the shape {wanted} of {name}, '
                             f'got {tuple(theirs.shape)}')
        weights[name] = theirs.reshape(ours.shape)
    return weights
