"""Bad input to the conversion; tests/modules compares what it computes."""
import pytest
import torch
from torch import nn

from mmdense.checkpoints.classifier_weights import convert_classifier


class Network(nn.Module):

    def __init__(self):
        super().__init__()
        self.fc6 = nn.Conv2d(2, 5, 3)

    @staticmethod
    def classifier_key(name):
        return name.replace('fc6', 'classifier.0')


def weights(**changes):
    found = {
        'classifier.0.weight': torch.arange(90.).view(5, 18),
        'classifier.0.bias': torch.arange(5.),
        'classifier.6.weight': torch.zeros(1000, 5)
    }
    return {**found, **changes}


def test_a_matrix_becomes_the_kernel_that_covers_its_input():
    found = convert_classifier(weights(), Network())
    assert sorted(found) == ['fc6.bias', 'fc6.weight']
    net = Network()
    net.load_state_dict(found)
    x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = weights()['classifier.0.weight'] @ x.flatten() + torch.arange(5)
    torch.testing.assert_close(net.fc6(x).flatten(), expected)


@pytest.mark.parametrize('name, value, message', [
    ('classifier.0.weight', torch.zeros(5, 32),
     r'classifier.0.weight must have the shape \(5, 18\) for the kernel '
     r'\(5, 2, 3, 3\) of fc6.weight, got \(5, 32\)'),
    ('classifier.0.weight', torch.zeros(18, 5), r'got \(18, 5\)'),
    ('classifier.0.weight', torch.zeros(5, 2, 3, 4),
     r'must have the shape \(5, 2, 3, 3\) of fc6.weight, got \(5, 2, 3, 4\)'),
    ('classifier.0.bias', torch.zeros(4),
     r'classifier.0.bias must have the shape \(5,\) of fc6.bias, got \(4,\)'),
])
def test_another_shape_is_named_with_both(name, value, message):
    with pytest.raises(ValueError, match=message):
        convert_classifier(weights(**{name: value}), Network())


def test_a_missing_entry_is_named():
    state = weights()
    del state['classifier.0.bias']
    with pytest.raises(ValueError, match='the classifier must have '
                       r'classifier.0.bias, for fc6.bias \(5,\)'):
        convert_classifier(state, Network())
