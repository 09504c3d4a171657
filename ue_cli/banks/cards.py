"""The card of a published perturbation: what it is, how it was made, what it was measured to do.

`cardfile` reads and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import file_digest
from pathlib import Path
from typing import Any

from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank

FORMAT = "ue-card"
FORMAT_VERSION = 1
"""Raised by every change that an older reader would misread."""

BANK_SUFFIX = ".safetensors"
CARD_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One victim that was trained on protected files, beside one trained on the clean ones.

    Attributes:
        data: short name of the data set, such as ``cifar10``.
        files: which files were protected, in words.
        victim: architecture, input and training, in words.
        seed: of both trainings.
        last, best: clean-test accuracy after training on protected files, 0 to 1: of the last
            epoch, and of the best.
        control_last, control_best: the same after training on the clean files.
        date: YYYY-MM-DD.
    """

    data: str
    files: str
    victim: str
    seed: int
    last: float
    best: float
    control_last: float
    control_best: float
    date: str

    @property
    def drop(self) -> float:
        """Accuracy that the perturbation took from the victim, at the last epoch."""
        return self.control_last - self.last


@dataclass(frozen=True, slots=True)
class Card:
    """All that is said of one bank.

    Attributes:
        name: full name, such as ``csd-cifar10``; the bank lies in ``name.safetensors``.
        dataset: short name of the data set whose classes it has; ``any`` where they are numbers.
        method: ``csd``, ``pue`` …
        space: ``pixel``.
        recipe: hyperparameters and what was measured while optimising.
        seed: public, in words or digits.
        data: what it was optimised on, in words.
        levels: radius of the L∞ ball in 8-bit levels.
        shape: (classes, per_class, 3, h, w).
        classes: their names, in order.
        bytes: size of the bank's file.
        sha256: of the bank's file, 64 hexadecimal digits.
        created_by: program and version.
        measured: what it did; empty means that nobody has measured it.
        limits: sentences.
        licence: SPDX name.
    """

    name: str
    dataset: str
    method: str
    space: str
    recipe: Mapping[str, Any]
    seed: str
    data: str
    levels: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    bytes: int
    sha256: str
    created_by: str
    measured: tuple[Measurement, ...]
    limits: tuple[str, ...]
    licence: str

    @property
    def file(self) -> str:
        """Name of the bank's file."""
        return self.name + BANK_SUFFIX

    def effect(self, data: str) -> float | None:
        """The smallest drop that was measured on a data set; None where there is none."""
        return min(
            (measurement.drop for measurement in self.measured if measurement.data == data),
            default=None,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `card_from_json` reads back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: list(values[name]) for name in ("shape", "classes", "limits")}
        values["recipe"] = dict(self.recipe)
        values["measured"] = [asdict(measurement) for measurement in self.measured]
        return {"format": FORMAT, "version": FORMAT_VERSION, **values}

    def check_file(self, path: Path) -> None:
        """Hold the bank's file against the card.

        Raises:
            UeError: the file has another SHA-256.
        """
        digest = file_sha256(path)
        if digest != self.sha256:
            raise unavailable(
                "perturbation-hash",
                f"{path.name} has the SHA-256 {digest[:16]}…, and its card says "
                f"{self.sha256[:16]}…: it is damaged or was exchanged, and is not used.",
                "Fetch it again with ue fetch-perturbations, or install ue again if it came along.",
            )

    def check_bank(self, bank: Bank) -> None:
        """Hold what the bank says of itself against the card.

        Raises:
            UeError: they contradict each other.
        """
        source = bank.provenance
        pairs = {
            "method": (self.method, source.method),
            "space": (self.space, source.space),
            "recipe": (dict(self.recipe), dict(source.recipe)),
            "created_by": (self.created_by, source.created_by),
            "levels": (self.levels, bank.budget.levels),
            "shape": (self.shape, bank.delta.shape),
            "classes": (self.classes, bank.classes),
        }
        wrong = [
            name for name, (card_value, bank_value) in pairs.items() if card_value != bank_value
        ]
        if wrong:
            raise unavailable(
                "card-contradicts",
                f"The card of {self.name} and the perturbation itself disagree about: "
                f"{', '.join(wrong)}.",
                "Take both from where they were published, or do without the card.",
            )


def unavailable(code: str, message: str, hint: str) -> UeError:
    """An error with exit code 4."""
    return UeError(code, message, hint, exit_code=ExitCode.PERTURBATION_UNAVAILABLE)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
