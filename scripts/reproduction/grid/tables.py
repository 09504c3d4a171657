"""From rows to judged cells: one table per data set, out of the JSON alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reproduction.grid.plan import ARMS, SCALES, settings_of
from reproduction.store import Row
from ue_cli.countermeasures.registry import SPECS
from ue_cli.pipeline.evaluation.judge import Whole, judge_all, judge_cell, training
from ue_cli.types import EffectCell, Training

TITLES = {"cifar10": "CIFAR-10", "tiny-imagenet-10": "Tiny-ImageNet, ten classes"}


@dataclass(frozen=True)
class Column:
    """One arm's files under every countermeasure.

    Attributes:
        name: of the arm; an older way to make them has it in brackets.
        mean_abs: of the perturbation as the tool measured it, in 8-bit levels; the mean over keys.
        linf: the largest, in 8-bit levels.
        method: how the newest of them were made, as the tool recorded it.
        cells: by countermeasure, judged.
        whole: the worst case of them all.
    """

    name: str
    mean_abs: float
    linf: float
    method: Mapping[str, Any]
    cells: Mapping[str, EffectCell]
    whole: Whole


@dataclass(frozen=True)
class Table:
    """One data set.

    Attributes:
        dataset: its name.
        classes, train_files, tests: how many.
        chance: accuracy of guessing.
        recipe: of the victim.
        countermeasures: in the registry's order.
        control: trainings on the originals, by countermeasure.
        columns: arms, in their order.
        rows: that it was made from.
        others: rows of this data set that have no place in it: of another victim or other files.
    """

    dataset: str
    classes: int
    train_files: int
    tests: int
    chance: float
    recipe: Mapping[str, Any]
    countermeasures: tuple[str, ...]
    control: Mapping[str, tuple[Training, ...]]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    others: int

    def run(self, column: Column) -> str:
        """How much of the table a column has, where that is not all; its worst case is of that."""
        have, every = len(column.cells), len(self.countermeasures)
        return "" if have == every else f"of {have} of {every} run"

    @property
    def title(self) -> str:
        """The data set's name for people."""
        return TITLES.get(self.dataset, self.dataset)

    @property
    def seeds(self) -> int:
        """The most trainings that a cell has."""
        cells = [cell.protected for column in self.columns for cell in column.cells.values()]
        return max((len(some) for some in [*cells, *self.control.values()]), default=0)


def tables(rows: Iterable[Row], scale: str, *, older: bool = False) -> list[Table]:
    """Judge everything that was measured at one scale.

    A data set's table holds the trainings whose victim and files are those of its newest row, so
    that a cell and its control are always the same measurement.

    Args:
        rows: of the JSON.
        scale: which.
        older: show files that are no longer made like that, too.
    """
    by_dataset: dict[str, list[Row]] = {}
    for row in rows:
        if row["scale"] == scale:
            by_dataset.setdefault(row["dataset"], []).append(row)
    return [_table(name, some, older) for name, some in sorted(by_dataset.items())]


def _table(dataset: str, rows: Sequence[Row], older: bool) -> Table:
    newest = max(rows, key=lambda row: row["when"])
    alike = [row for row in rows if _setting(row) == _setting(newest)]
    control = _by_countermeasure([row for row in alike if row["arm"] == "clean"])
    made: dict[str, list[Row]] = {}
    for row in alike:
        name = column_name(row)
        if row["arm"] != "clean" and (older or name == row["arm"]):
            made.setdefault(name, []).append(row)
    order = sorted(made, key=lambda name: (ARMS.index(made[name][0]["arm"]), name))
    shown = [row for row in alike if row["arm"] == "clean"] + [r for n in order for r in made[n]]
    tried = {row["countermeasure"] for row in shown}
    return Table(
        dataset=dataset,
        classes=newest["classes"],
        train_files=newest["train_files"],
        tests=newest["test_images"],
        chance=newest["chance"],
        recipe=newest["recipe"],
        countermeasures=tuple(spec.name for spec in SPECS if spec.name in tried),
        control=control,
        columns=tuple(_column(name, made[name], control) for name in order),
        rows=tuple(shown),
        others=len(rows) - len(shown),
    )


def _setting(row: Row) -> tuple[str, int, int]:
    return json.dumps(row["recipe"], sort_keys=True), row["train_files"], row["test_images"]


def _column(name: str, rows: Sequence[Row], control: Mapping[str, tuple[Training, ...]]) -> Column:
    cells = {}
    for countermeasure, trainings in _by_countermeasure(rows).items():
        clean = control.get(countermeasure, ())
        found = judge_cell(trainings, clean, chance=rows[0]["chance"])
        cells[countermeasure] = EffectCell(
            victim=rows[0]["recipe"]["net"],
            countermeasure=countermeasure,
            coverage=100,
            protected=trainings,
            control=clean,
            alone=(),
            recipe="",
            upper=found.upper,
            lower=found.lower,
            verdict=found.verdict,
            reason=found.reason,
        )
    keys = {row["seed"]: row for row in rows}.values()
    (whole,) = judge_all(list(cells.values()))
    return Column(
        name=name,
        mean_abs=sum(row["mean_abs"] for row in keys) / len(keys),
        linf=max(row["linf"] for row in keys),
        method=max(rows, key=lambda row: row["when"])["method"],
        cells=cells,
        whole=whole,
    )


def _by_countermeasure(rows: Sequence[Row]) -> dict[str, tuple[Training, ...]]:
    found: dict[str, list[Training]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        one = training(
            row["seed"],
            row["correct"],
            tests=row["test_images"],
            fitted=row["fitted"],
            trained=row["trained"],
        )
        found.setdefault(row["countermeasure"], []).append(one)
    return {name: tuple(some) for name, some in found.items()}


def column_name(row: Row) -> str:
    """The arm, and in brackets what differs from how its files are made today."""
    if row["arm"] == "clean":
        return "clean"
    made = _flat(row["settings"])
    today = _flat(settings_of(row["arm"], SCALES[row["scale"]].cells) or {})
    missing = {name: None for name in today if name not in made}
    differing = [
        f"no {name}" if value is None else f"{name} {_short(value)}"
        for name, value in (made | missing).items()
        if name in missing or value != today.get(name)
    ]
    return f"{row['arm']} ({', '.join(differing)})" if differing else str(row["arm"])


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**{n: v for n, v in settings.items() if n != "texture"}, **settings.get("texture", {})}


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def figures(last: int, best: int, tests: int) -> str:
    """Accuracies in %: the last epoch's, and in brackets the best one's."""
    return f"{100 * last / tests:.1f} ({100 * best / tests:.1f})"
