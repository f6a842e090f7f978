"""Multi-scale deformable attention by PyTorch's grid_sample.

Xizhou Zhu et al., Deformable DETR, arXiv:2010.04159, equation 3.
"""
import torch
from torch import Tensor
from torch.nn import functional


def ms_deform_attn_forward(value: Tensor, value_spatial_shapes: Tensor,
                           value_level_start_index: Tensor,
                           sampling_locations: Tensor,
                           attention_weights: Tensor,
                           im2col_step: int) -> Tensor:
    """The attended values, shape (N, queries, heads * C).

    Args:
        value (Tensor): Maps of all levels, shape (N, keys, heads, C).
        value_spatial_shapes (Tensor): (height, width) of every level.
        value_level_start_index (Tensor): Every level's first key.
        sampling_locations (Tensor): (x, y) from 0 to 1, shape (N, queries,
            heads, levels, points, 2).
        attention_weights (Tensor): Shape (N, queries, heads, levels, points).
        im2col_step (int): Of no effect here.
    """
    n, _, heads, channels = value.shape
    queries = sampling_locations.shape[1]
    output = 0
    for level, ((height, width), start) in enumerate(
            zip(
                value_spatial_shapes.tolist(),
                value_level_start_index.tolist(),
                strict=True)):
        image = value[:, start:start + height * width].permute(0, 2, 3, 1)
        grid = sampling_locations[:, :, :, level].transpose(1, 2) * 2 - 1
        weight = attention_weights[:, :, :, level].transpose(1, 2)
        sampled = functional.grid_sample(
            image.reshape(n * heads, channels, height, width),
            grid.flatten(0, 1),
            align_corners=False)  # (N * heads, C, queries, points)
        output = output + (sampled * weight.flatten(0, 1)[:, None]).sum(-1)
    output = output.view(n, heads * channels, queries)
    return output.transpose(1, 2).contiguous()


def ms_deform_attn_backward(value: Tensor, value_spatial_shapes: Tensor,
                            value_level_start_index: Tensor,
                            sampling_locations: Tensor,
                            attention_weights: Tensor, grad_output: Tensor,
                            grad_value: Tensor, grad_sampling_loc: Tensor,
                            grad_attn_weight: Tensor,
                            im2col_step: int) -> None:
    """Adds to the gradients of value, locations and weights."""
    inputs = [
        t.detach().requires_grad_()
        for t in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = ms_deform_attn_forward(inputs[0], value_spatial_shapes,
                                        value_level_start_index, *inputs[1:],
                                        im2col_step)
    found = torch.autograd.grad(output, inputs, grad_output)
    for gradient, more in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), found, strict=True):
        gradient += more
