"""From rows to figures: what was measured at one scale with the settings of today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from reproduction.store import Row
from reproduction.tue.arms import Arm, arms_of
from reproduction.tue.plan import SCALES, VICTIMS, Victim
from reproduction.tue.swaps import Correspondence


@dataclass(frozen=True)
class Figures:
    """One training for each of some seeds; all in %.

    Attributes:
        values: after the last epoch, or of the linear probe; by seed.
        beside: the best epochs; or of probes of the same encoders that are fitted to the originals.
    """

    values: tuple[float, ...]
    beside: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.values)

    @property
    def count(self) -> int:
        """Of the seeds."""
        return len(self.values)

    def meets(self, other: Figures) -> bool:
        """Whether the ranges of the seeds have a value in common."""
        return min(self.values) <= max(other.values) and min(other.values) <= max(self.values)


@dataclass(frozen=True)
class Strength:
    """What was measured on an arm's δ, the mean over seeds, as the images carry it.

    Attributes:
        mean_abs: |δ| in 8-bit levels.
        csd: of it.
        seconds: that making took.
    """

    mean_abs: float
    csd: float
    seconds: float


class Results:
    """Everything measured at one scale.

    A victim's figures are those of the recipe and the counts of its newest row on that data set, so
    that an arm and its control are always the same measurement; an arm's are those made with its
    settings of today.

    Args:
        rows: of the JSON.
        scale: its name.

    Attributes:
        arms: of the scale, by name.
        rows: that have a place here.
        others: how many have not.
    """

    def __init__(self, rows: Iterable[Row], scale: str) -> None:
        self.arms = arms_of(SCALES[scale])
        all_rows = [row for row in rows if row["scale"] == scale]
        newest: dict[tuple[object, ...], Row] = {}
        for row in sorted(all_rows, key=lambda row: str(row["when"])):
            newest[_place(row)] = row
        self.rows = [
            row
            for row in all_rows
            if row["arm"] in self.arms
            and row["settings"] == self.arms[row["arm"]].settings
            and all(row.get(n) == newest[_place(row)].get(n) for n in _SAME)
        ]
        self.others = len(all_rows) - len(self.rows)
        self._newest = newest

    def of(
        self,
        arm: str,
        victim: Victim,
        dataset: str = "cifar10",
        swap: Correspondence = "original",
    ) -> Figures | None:
        """What victims made of an arm's files; None: not measured."""
        wanted = {"arm": arm, "victim": victim, "dataset": dataset, "correspondence": swap}
        some = self._find(wanted)
        if not some:
            return None
        if victim == "supervised":
            return Figures(_percent(r["last"] for r in some), _percent(r["best"] for r in some))
        return Figures(
            _percent(row["probe"] for row in some),
            _percent(row["encoder"]["probe"] for row in some),
        )

    def encoder(self, arm: str, victim: Victim) -> Figures | None:
        """What an arm left of encoders, read out with the originals; None: not measured."""
        figures = None if victim == "supervised" else self.of(arm, victim)
        return None if figures is None else Figures(figures.beside)

    def untrained(self, arm: str, victim: Victim) -> Figures | None:
        """The probe of the same encoders before their first step, fitted to an arm's files."""
        some = self._find({"arm": arm, "victim": victim, "dataset": "cifar10"})
        if victim == "supervised" or not some:
            return None
        return Figures(_percent(row["floor"]["probe"] for row in some))

    def strength(self, arm: str) -> Strength | None:
        """Of an arm's δ; None: not made."""
        some = self._find({"arm": arm, "piece": "make"})
        if not some:
            return None
        return Strength(*(fmean(row[n] for row in some) for n in _STRENGTH))

    def training(self, victim: Victim, dataset: str = "cifar10") -> Row | None:
        """A row that has a victim's recipe and counts; None: there is none."""
        return self._newest.get(("ssl" if victim != "supervised" else victim, victim, dataset))

    def measured(self) -> list[Arm]:
        """The arms with a victim on CIFAR-10."""
        return [
            arm
            for arm in self.arms.values()
            if any(self.of(arm.name, victim) for victim in VICTIMS)
        ]

    def chance(self, dataset: str = "cifar10") -> float:
        """Accuracy of guessing, in %: every class has as many test images."""
        rows = [self.training(victim, dataset) for victim in VICTIMS]
        return next((100 / row["classes"] for row in rows if row is not None), 10.0)

    def _find(self, wanted: Row) -> Sequence[Row]:
        found = [row for row in self.rows if all(row.get(n) == v for n, v in wanted.items())]
        return sorted(found, key=lambda row: int(row["seed"]))


_SAME = ("recipe", "train_images", "test_images", "classes")
_STRENGTH = ("mean_abs", "csd", "making_seconds")


def _percent(shares: Iterable[float]) -> tuple[float, ...]:
    return tuple(100 * share for share in shares)


def _place(row: Row) -> tuple[object, ...]:
    """Rows of one place are one measurement, if recipe and counts are equal, too."""
    if row["piece"] == "make":
        return ("make",)
    return row["piece"], row["victim"], row["dataset"]
