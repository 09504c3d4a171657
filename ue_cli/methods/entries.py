"""The patterns that an alternation optimises, and which image carries which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ue_cli.errors import UeError
from ue_cli.types import Bank, Budget


def check_inputs(
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    shape: tuple[int, ...],
    size: int,
    budget: Budget,
    frozen: Bank | None,
) -> None:
    """Refuse what no surrogate can be trained on.

    Args:
        images: (n, 3, h, w).
        labels: (n,).
        classes: their names.
        shape: of one class's patterns, (per_class, 3, cells, cells).
        size: side of the surrogate's input.
        budget: the ball.
        frozen: a bank that classes join.

    Raises:
        UeError: fewer than two classes have images, more cells than pixels, or a frozen bank of
            another shape.
    """
    present = len(torch.unique(labels))
    if present < 2:
        raise UeError(
            "method-classes",
            f"A surrogate needs images of at least two classes, got {len(images)} of {present}.",
            "Sort the photos into a folder per subject, or use --method csd.",
        )
    if shape[-1] > size:
        raise UeError(
            "method-cells",
            f"{shape[-1]} cells per side are more than the surrogate's {size} pixels.",
            f"Use at most {size} cells.",
        )
    if frozen is not None:
        check_frozen(frozen, shape, budget)


def check_frozen(frozen: Bank, shape: tuple[int, ...], budget: Budget) -> None:
    """Refuse to let classes join a bank of another shape or budget.

    Args:
        frozen: the bank.
        shape: of a new class's patterns, (per_class, 3, cells, cells).
        budget: the ball.

    Raises:
        UeError: ``bank-mismatch``.
    """
    if frozen.delta.shape[1:] != shape or frozen.budget != budget:
        raise UeError(
            "bank-mismatch",
            f"The collection's perturbation has {frozen.delta.shape[1]} patterns per class of "
            f"{frozen.delta.shape[3]}×{frozen.delta.shape[4]} cells at {frozen.budget.levels} "
            f"levels; asked for {shape[0]} of {shape[2]}×{shape[3]} at {budget.levels}.",
            "Use the collection's own settings, or start a new collection.",
        )


class Entries:
    """One pattern per class and variant, in 8-bit levels; several images may share one.

    Args:
        labels: (n,) class of each image.
        classes: how many there are.
        shape: (per_class, 3, cells, cells).
        budget: the ball, which no value ever leaves.
        variants: (n,) which pattern of its class each image carries, counted around; None: in turn.
        frozen: the first classes' patterns, which do not move.
        generator: of the start, uniform in the ball.
        device: for torch.
    """

    def __init__(
        self,
        labels: Tensor,
        classes: int,
        shape: tuple[int, int, int, int],
        budget: Budget,
        variants: Tensor | None,
        frozen: Bank | None,
        generator: torch.Generator,
        device: str,
    ) -> None:
        self._radius = budget.levels
        self._shape = (classes, *shape)
        start = torch.rand(classes * shape[0], *shape[1:], generator=generator)
        start = (2 * start - 1) * self._radius
        self._fixed = 0
        if frozen is not None:
            self._fixed = len(frozen.classes) * shape[0]
            start[: self._fixed] = torch.from_numpy(frozen.delta.astype(np.float32)).flatten(0, 1)
        self._delta = start.to(device)
        variants = _turns(labels) if variants is None else variants.cpu()
        entry = labels.cpu() * shape[0] + variants % shape[0]
        carriers = entry.bincount(minlength=len(start)).view(classes, shape[0])
        self._entry, self._carriers = entry.to(device), carriers.to(device, torch.float32)

    def of(self, chosen: Tensor) -> Tensor:
        """The patterns of some images, (k, 3, cells, cells), a copy."""
        return self._delta.index_select(0, self._entry[chosen])

    def weighed(self) -> tuple[Tensor, Tensor]:
        """All patterns, (classes, per_class, values), and how many images carry each.

        The patterns are no copy; the counts are (classes, per_class).
        """
        return self._delta.view(*self._shape[:2], -1), self._carriers

    def move(self, chosen: Tensor, updates: Tensor) -> None:
        """Step each image's pattern, stay in the ball, and average where images share one.

        Args:
            chosen: (k,) images.
            updates: (k, 3, cells, cells) in levels.
        """
        entry = self._entry[chosen]
        moved = (self._delta.index_select(0, entry) + updates).clamp_(-self._radius, self._radius)
        patterns, slot = torch.unique(entry, return_inverse=True)
        total = moved.new_zeros(len(patterns), *moved.shape[1:]).index_add_(0, slot, moved)
        mean = total / slot.bincount()[:, None, None, None]
        free = patterns >= self._fixed
        self._delta[patterns[free]] = mean[free]

    def start(self) -> tuple[Tensor, Tensor]:
        """All patterns as they are now, and which of them each image carries."""
        return self._delta, self._entry

    def state(self) -> Tensor:
        """All patterns as they are, for `restore`."""
        return self._delta

    def restore(self, state: Tensor) -> None:
        """Go on from what `state` gave of the same classes and images."""
        self._delta.copy_(state)

    def levels(self) -> NDArray[np.int8]:
        """Everything as whole levels, (classes, per_class, 3, cells, cells).

        What no image of its class carried repeats, in turn, what others did.
        """
        rounded = self._delta.round().clamp(-self._radius, self._radius).to(torch.int8).cpu()
        out: NDArray[np.int8] = rounded.view(self._shape).numpy().copy()
        per_class = self._shape[1]
        used = torch.unique(self._entry.cpu())
        for k in range(self._fixed // per_class, self._shape[0]):
            variants = used[used // per_class == k] % per_class
            spare = np.setdiff1d(np.arange(per_class), variants.numpy())
            if len(variants):
                out[k, spare] = out[k, np.resize(variants.numpy(), len(spare))]
        return out


def _turns(labels: Tensor) -> Tensor:
    """Each image's rank within its class, (n,)."""
    ranks = torch.empty_like(labels, device="cpu")
    for label in torch.unique(labels):
        members = (labels.cpu() == label.cpu()).nonzero()[:, 0]
        ranks[members] = torch.arange(len(members))
    return ranks
