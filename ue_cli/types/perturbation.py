"""A perturbation: as a function of position, and as optimised cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError
from ue_cli.types.arrays import FloatArray
from ue_cli.types.budget import Budget

UNFIT = "This perturbation cannot be used: "
"""How a refusal to build a `Bank` begins; readers put their file's name in its place."""


class Field(Protocol):
    """A perturbation of one image as a function of position, before any budget is applied."""

    @property
    def cycles(self) -> float:
        """Of its finest wave over the short side of the image."""
        ...

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid of two axes.

        Args:
            y: positions along the height in displayed pixels, pixel i's centre at i + 0.5, (m,).
            x: positions along the width, (n,).

        Returns:
            (m, n, 3) in [−1, 1], RGB, in units of ε.
        """
        ...

    def softened(self) -> Field:
        """The same without its edges, where it is made of waves: what a JPEG can hold of it."""
        ...

    def transformed(self, y: FloatArray, x: FloatArray, basis: FloatArray) -> FloatArray:
        """Project blocks of it on products of functions of either axis.

        Args:
            y: positions of each row of blocks, (rows, points).
            x: positions of each column of blocks, (columns, points).
            basis: functions at a block's positions, (points, r).

        Returns:
            (rows, columns, r, r, 3): function along the height, along the width, channel. Edges of
            waves that are finer than a block may be missing.
        """
        ...


def project(field: Field, y: FloatArray, x: FloatArray, basis: FloatArray) -> FloatArray:
    """`Field.transformed` of any field, from its samples."""
    rows, points = y.shape
    step = max(1, _STRIP // x.size // points)
    out = np.empty((rows, len(x), basis.shape[1], basis.shape[1], 3))
    for top in range(0, rows, step):
        strip = y[top : top + step]
        sampled = field.sample(strip.reshape(-1), x.reshape(-1))
        split = sampled.reshape(len(strip), points, len(x), points, 3)
        out[top : top + step] = np.einsum("ypxqc,pi,qj->yxijc", split, basis, basis, optimize=True)
    return out


_STRIP = 1 << 16
"""Samples at once: they stay in the cache."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bank comes from; all of it JSON.

    Attributes:
        method: ``csd``, ``tue``, ``pue`` …
        space: ``pixel``: entries are cells laid over the image.
        recipe: hyperparameters and what was measured while optimising.
        created_by: program and version, such as ``ue 0.1.0``.
    """

    method: str
    space: str
    recipe: Mapping[str, Any]
    created_by: str


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Optimised perturbations of some classes, in whole levels.

    Attributes:
        delta: int8 levels, (classes, per_class, 3, h, w), RGB; per_class 1 is class-wise.
            Made read-only.
        classes: one name per entry.
        budget: the ball that every value lies in.
        provenance: how it was made.

    Raises:
        UeError: on construction, when the parts do not fit together.
    """

    delta: NDArray[np.int8]
    classes: tuple[str, ...]
    budget: Budget
    provenance: Provenance

    def __post_init__(self) -> None:
        shape, dtype = self.delta.shape, self.delta.dtype
        if dtype != np.int8:
            raise _bad_bank(f"its values must be int8 levels, got {dtype}")
        if len(shape) != 5 or shape[2] != 3 or min(shape) < 1:
            raise _bad_bank(f"its shape must be (classes, per_class, 3, h, w), got {shape}")
        if len(self.classes) != shape[0] or len(set(self.classes)) != shape[0]:
            raise _bad_bank(f"{shape[0]} entries need as many distinct class names")
        low, high = int(self.delta.min()), int(self.delta.max())
        if max(-low, high) > self.budget.levels:
            raise _bad_bank(
                f"its values reach {low} to {high}, outside its stated budget of "
                f"±{self.budget.levels} levels"
            )
        self.delta.flags.writeable = False

    def entry(self, name: str, variant: int = 0) -> NDArray[np.int8]:
        """One perturbation, (3, h, w); ``variant`` counts on around the class's samples.

        Raises:
            UeError: the bank has no such class.
        """
        if name not in self.classes:
            raise UeError(
                "bank-class",
                f"The perturbation has no entry for class {name!r}; "
                f"it has {len(self.classes)}: {', '.join(self.classes[:10])}.",
                "Optimise it for this class, or choose another perturbation.",
                exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
            )
        levels: NDArray[np.int8] = self.delta[
            self.classes.index(name), variant % self.delta.shape[1]
        ]
        return levels


def _bad_bank(why: str) -> UeError:
    return UeError(
        "bank-invalid",
        f"{UNFIT}{why}.",
        "Get the file again from where it came.",
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )
