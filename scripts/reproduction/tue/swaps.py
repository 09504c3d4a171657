"""Which image carries which image's δ: TUE's swap test (Ren et al., ICLR 2023, table 5).

A sample-wise perturbation that is separable by class survives when images of a class trade theirs,
and when whole classes do; one that depends on the image beneath does not.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Correspondence = Literal["original", "intra-class", "inter-class"]
"""Whose δ an image carries: its own, another one's of its class, or one's of another class."""


def correspondence(labels: Tensor, kind: Correspondence, *, seed: int) -> Tensor:
    """The image whose δ each image carries.

    ``intra-class`` puts a class's images in a random order and gives each the next one's, so that
    none keeps its own. ``inter-class`` gives each class those of the next class that has images,
    the last one those of the first, in a random order and counted around where it has fewer.

    Args:
        labels: (n,) int64, the class of each image.
        kind: ``original`` (its own), ``intra-class`` or ``inter-class``.
        seed: of the random orders.

    Returns:
        (n,) int64 on the device of ``labels``: δ' = δ[correspondence(...)].
    """
    count = len(labels)
    if kind == "original":
        return torch.arange(count, device=labels.device)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(labels.device)
    present, sizes = torch.unique(labels, return_counts=True)
    order = order[labels[order].argsort(stable=True)]
    starts = sizes.cumsum(0) - sizes
    which = torch.arange(len(present), device=labels.device).repeat_interleave(sizes)
    rank = torch.arange(count, device=labels.device) - starts[which]
    if kind == "intra-class":
        rank += 1
    else:
        which = (which + 1) % len(present)
    source = torch.empty_like(order)
    source[order] = order[starts[which] + rank % sizes[which]]
    return source
