"""What decides a training: the trial, and the images that it sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ue_cli.training.supervised import VictimRecipe


@dataclass(frozen=True, slots=True)
class Trial:
    """One training, decided entirely by this and the data.

    Attributes:
        arm: trained on the ``protected`` files or on the ``clean`` originals.
        seed: of weights, order and augmentation.
        recipe: the hyperparameters.
        countermeasure: what the trainer does against the protection; None: nothing.
    """

    arm: Literal["protected", "clean"]
    seed: int
    recipe: VictimRecipe
    countermeasure: str | None = None


@dataclass(frozen=True, eq=False)
class TrialData:
    """What every trial of a run trains on and is tested on.

    Attributes:
        protected: (n, 3, side, side) uint8.
        clean: the originals in the same order; None without originals.
        labels: (n,) int64, from 0.
        test: (m, 3, side, side) uint8, clean.
        test_labels: (m,) int64.
    """

    protected: NDArray[np.uint8] = field(repr=False)
    clean: NDArray[np.uint8] | None = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    test: NDArray[np.uint8] = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)

    def arrays(self, arm: str) -> dict[str, NDArray[Any]]:
        """The four arrays that one arm sees: images, labels, test, test_labels."""
        images = self.protected if arm == "protected" else self.clean
        if images is None:
            raise ValueError("there are no originals to train the clean control on")
        return {
            "images": images,
            "labels": self.labels,
            "test": self.test,
            "test_labels": self.test_labels,
        }

    def sha256(self, arm: str) -> str:
        """Of all that one arm sees, hex; it does not depend on the other arm."""
        digest = hashlib.sha256()
        for name, array in self.arrays(arm).items():
            digest.update(f"{name} {array.dtype} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data.cast("B"))
        return digest.hexdigest()
