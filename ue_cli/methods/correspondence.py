"""Which image carries which image's δ: TUE's swap test (Ren et al., ICLR 2023, table 5).

A sample-wise perturbation that is separable by class survives when images of a class trade theirs,
and when whole classes do; one that depends on the image beneath does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ue_cli.errors import UeError
from ue_cli.types import Correspondence


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

    Raises:
        UeError: ``correspondence-classes``: nobody has anything to swap.
    """
    count = len(labels)
    if kind == "original":
        return torch.arange(count, device=labels.device)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(labels.device)
    present, sizes = torch.unique(labels, return_counts=True)
    if (len(present) if kind == "inter-class" else int(sizes.max())) < 2:
        raise UeError(
            "correspondence-classes",
            f"An {kind} correspondence needs "
            + ("two classes" if kind == "inter-class" else "two images of a class")
            + f", got {count} images of {len(present)} classes.",
            "Add photos, or keep the original correspondence.",
        )
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


def swapped(
    delta: NDArray[np.int8], counts: Sequence[int], kind: Correspondence, *, seed: int
) -> NDArray[np.int8]:
    """A bank's entries after its images have swapped theirs.

    Args:
        delta: (classes, per_class, 3, h, w).
        counts: of each class, how many entries some image has; what follows them repeats them in
            turn, before and after. A class without images takes part with its first entry.
        kind: see `correspondence`.
        seed: likewise.

    Returns:
        The same shape, a copy.

    Raises:
        UeError: ``correspondence-classes``.
    """
    sizes = np.maximum(counts, 1)
    starts = sizes.cumsum() - sizes
    classes = np.repeat(np.arange(len(sizes)), sizes)
    own = delta[classes, np.arange(len(classes)) - starts[classes]]
    source = correspondence(torch.from_numpy(classes), kind, seed=seed).numpy()
    slots = starts[:, None] + np.arange(delta.shape[1]) % sizes[:, None]
    out: NDArray[np.int8] = own[source[slots]]
    return out
