"""What decides a training: the trial, and the images that it sees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ue_cli.countermeasures.registry import Need, build, find
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import Recipe


@dataclass(frozen=True, slots=True)
class Trial:
    """One training, decided entirely by this and the data.

    Attributes:
        arm: trained on the ``protected`` files or on the ``clean`` originals.
        seed: of weights, order and augmentation.
        recipe: the hyperparameters.
        countermeasure: what the trainer does against the protection, by its name in
            `ue_cli.countermeasures.registry`; None: nothing.
    """

    arm: Literal["protected", "clean"]
    seed: int
    recipe: Recipe
    countermeasure: str | None = None

    @property
    def classifier(self) -> VictimRecipe:
        """Its recipe, where it learns from the labels.

        Raises:
            ValueError: it learns without.
        """
        if not isinstance(self.recipe, VictimRecipe):
            raise ValueError("an encoder's recipe is none of a classifier")
        return self.recipe

    @property
    def needs(self) -> tuple[Need, ...]:
        """What its countermeasure needs beside the files: ``clean``, ``bank``."""
        return () if self.countermeasure is None else find(self.countermeasure).needs

    def canonical(self) -> Trial:
        """Itself, or the plain trial where that is the same training, bit by bit.

        Raises:
            UeError: no countermeasure has that name.
            ValueError: it is no training of its own.
        """
        if self.countermeasure is None:
            return self
        same = build(self.countermeasure).same_as_plain(self.recipe, self.arm)
        return replace(self, countermeasure=None) if same else self


@dataclass(frozen=True, eq=False)
class TrialData:
    """What every trial of a run trains on and is tested on.

    Attributes:
        protected: (n, 3, side, side) uint8.
        clean: the originals in the same order; None without originals.
        labels: (n,) int64, from 0.
        test: (m, 3, side, side) uint8, clean.
        test_labels: (m,) int64.
        bank: a published perturbation as it lies on the training files: the fields of
            `ue_cli.training.publicbank.PublicBank` by name; what subtracts it needs it.
    """

    protected: NDArray[np.uint8] = field(repr=False)
    clean: NDArray[np.uint8] | None = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    test: NDArray[np.uint8] = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)
    bank: Mapping[str, NDArray[Any]] | None = field(default=None, repr=False)

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
        return _sha256(self.arrays(arm))

    def knowledge(self, need: Need) -> Mapping[str, NDArray[Any]]:
        """The arrays that a countermeasure needs, by the name of the need.

        Raises:
            ValueError: they are not there.
        """
        if need == "bank" and self.bank is not None:
            return self.bank
        if need == "clean" and self.clean is not None:
            return {"clean": self.clean}
        what = {"clean": "originals", "bank": "published perturbation"}[need]
        raise ValueError(f"there is no {what} for a countermeasure that needs it")

    def knowledge_sha256(self, need: Need) -> str:
        """Of `knowledge`, hex."""
        return _sha256(self.knowledge(need))


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()
