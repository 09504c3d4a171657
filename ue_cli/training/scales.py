"""How large one unit of weight noise is, for every parameter of a network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ue_cli.types import Scaling

FLOOR = 1e-6
"""No scale is 0: the smoothing theorem needs every coordinate of the noise to move."""

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
_ROWS = (nn.Linear, nn.modules.conv._ConvNd, nn.MultiheadAttention)


@torch.no_grad()
def weight_scales(net: nn.Module, scaling: Scaling) -> dict[str, Tensor]:
    """The diagonal D of the weight noise σ·D·N(0, I), fixed once for a network.

    ``absolute``: ones, as published (Wang et al., NDSS 2025). ``relative``: the root mean square
    of what one output channel is made of, so that multiplying a filter by a constant, which
    BatchNorm undoes, multiplies its noise too: a convolution's or linear layer's row with its
    bias; a row of attention's joint query, key and value projection with its bias; γ and β of a
    normalisation jointly; any other parameter (a class token, position embeddings) by itself.

    Args:
        net: whose weights of this moment give the scales.
        scaling: which of the two.

    Returns:
        One tensor of its shape per named parameter, in their order; views where values repeat.
    """
    scales = {name: torch.ones_like(value) for name, value in net.named_parameters()}
    if scaling == "absolute":
        return scales
    for prefix, module in net.named_modules():
        weights = dict(module.named_parameters(prefix, recurse=False))
        if not weights:
            continue
        if isinstance(module, _NORMS):
            rows = torch.cat([value.detach().flatten() for value in weights.values()])[None]
            groups = [(weights, rows)]
        elif isinstance(module, _ROWS) and len({len(value) for value in weights.values()}) == 1:
            # Attention with keys of another width has projections whose rows do not correspond.
            parts = [
                value.detach().flatten(1) if value.ndim > 1 else value.detach()[:, None]
                for value in weights.values()
            ]
            groups = [(weights, torch.cat(parts, 1))]
        else:
            groups = [
                ({name: value}, value.detach().flatten()[None]) for name, value in weights.items()
            ]
        for members, rows in groups:
            size = rows.square().mean(1).sqrt().clamp(min=FLOOR)
            for name, value in members.items():
                scales[name] = size.view(-1, *[1] * (value.ndim - 1)).expand_as(value)
    return scales


@torch.no_grad()
def weight_norm(net: nn.Module, scaling: Scaling) -> float:
    """‖D⁻¹θ‖₂ over all named parameters; D and θ are the network's own."""
    return _norm(dict(net.named_parameters()), weight_scales(net, scaling))


@torch.no_grad()
def weight_distance(net: nn.Module, other: Mapping[str, Tensor], scaling: Scaling) -> float:
    """‖D⁻¹(other − θ)‖₂: how far another training is, in the units of η.

    Args:
        net: θ, and whose weights give D.
        other: named parameters or a state dict of a network of the same kind.
        scaling: of D.
    """
    shift = {
        name: other[name].cpu().double() - value.cpu().double()
        for name, value in net.named_parameters()
    }
    return _norm(shift, weight_scales(net, scaling))


def _norm(values: Mapping[str, Tensor], scales: Mapping[str, Tensor]) -> float:
    squares = [(values[name].cpu().double() / scales[name].cpu()).square().sum() for name in scales]
    return float(torch.stack(squares).sum().sqrt())
