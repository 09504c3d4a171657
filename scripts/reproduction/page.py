"""The grid as judged tables and as a page of Markdown, every figure in it from the rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Any

from store import Row

from reproduction.grid import ARMS, BUDGET, SCALES, Scale
from ue_cli.certification.statement import describe_views
from ue_cli.countermeasures.registry import SPECS
from ue_cli.evaluation.judge import (
    CONFIDENCE,
    RULE,
    Whole,
    judge_all,
    judge_cell,
    training,
)
from ue_cli.training.architectures import ARCHITECTURES
from ue_cli.training.ssl_recipes import SSL_NAMES, SSL_TITLES
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import EffectCell, Encoding, Training
from ue_cli.types.wording import at_least, at_most, confidence_words

TITLES = {"cifar10": "CIFAR-10", "tiny-imagenet-10": "Tiny-ImageNet, ten classes"}
CONDITIONS: dict[str, str] = {spec.name: spec.summary for spec in SPECS}
CONDITIONS |= {name: SSL_TITLES[name] for name in SSL_NAMES}
"""What each is; their order is the tables'."""


@dataclass(frozen=True)
class Column:
    """One arm's files under every condition.

    Attributes:
        name: of the arm.
        rows: its trainings.
        cells: by condition, judged.
        whole: the worst case of all countermeasures; None: there is only a learner.
    """

    name: str
    rows: Sequence[Row]
    cells: Mapping[str, EffectCell]
    whole: Whole | None

    @property
    def method(self) -> Mapping[str, Any]:
        """How the newest of its files were made, as the tool recorded it."""
        method: Mapping[str, Any] = max(self.rows, key=lambda row: str(row["when"]))["method"]
        return method

    @property
    def mean_abs(self) -> float:
        """Of the perturbation as the tool measured it, in 8-bit levels; the mean over keys."""
        return fmean({row["seed"]: row["mean_abs"] for row in self.rows}.values())


@dataclass(frozen=True)
class Table:
    """One data set.

    Attributes:
        newest: the row that decides which others are the same measurement.
        conditions: that were tried, in their order.
        control: trainings on the originals, by condition.
        columns: arms, in their order.
        rows: that it was made from.
        others: rows of this data set that have no place in it: of another victim or older files.
    """

    newest: Row
    conditions: tuple[str, ...]
    control: Mapping[str, tuple[Training, ...]]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    others: int

    @property
    def title(self) -> str:
        """The data set's name for people."""
        return TITLES[self.newest["dataset"]]


def tables(rows: Iterable[Row], scale: str) -> list[Table]:
    """Judge everything that was measured at one scale.

    A data set's table holds the trainings whose recipe and files are those of the newest row under
    their condition, so that a cell and its control are always the same measurement, and whose
    files are made as today.

    Args:
        rows: of the JSON.
        scale: which.
    """
    by_dataset: dict[str, list[Row]] = {}
    for row in rows:
        if row["scale"] == scale:
            by_dataset.setdefault(row["dataset"], []).append(row)
    return [_table(rows, SCALES[scale]) for _, rows in sorted(by_dataset.items())]


def _table(rows: Sequence[Row], scale: Scale) -> Table:
    newest = {_kind(row): row for row in sorted(rows, key=lambda row: str(row["when"]))}
    alike = [row for row in rows if _measurement(row) == _measurement(newest[_kind(row)])]
    by_arm = {
        arm: [row for row in alike if row["arm"] == arm and row["settings"] == scale.settings(arm)]
        for arm in ARMS
    }
    control = _trainings(by_arm["clean"])
    placed = [row for arm in ARMS for row in by_arm[arm]]
    tried = {row["countermeasure"] for row in placed}
    return Table(
        newest=newest["labels"],
        conditions=tuple(name for name in CONDITIONS if name in tried),
        control=control,
        columns=tuple(
            _column(arm, arm_rows, control)
            for arm, arm_rows in by_arm.items()
            if arm != "clean" and arm_rows
        ),
        rows=tuple(placed),
        others=len(rows) - len(placed),
    )


def _kind(row: Row) -> str:
    condition: str = row["countermeasure"]
    return condition if condition in SSL_NAMES else "labels"


def _measurement(row: Row) -> tuple[str, int, int]:
    return json.dumps(row["recipe"], sort_keys=True), row["train_files"], row["test_images"]


def _column(name: str, rows: Sequence[Row], control: Mapping[str, tuple[Training, ...]]) -> Column:
    cells = {}
    for condition, trainings in _trainings(rows).items():
        clean = control.get(condition, ())
        judged = judge_cell(trainings, clean, chance=rows[0]["chance"])
        cells[condition] = EffectCell(
            victim=condition if condition in SSL_NAMES else rows[0]["recipe"].get("net", ""),
            countermeasure=condition,
            coverage=100,
            protected=trainings,
            control=clean,
            alone=(),
            recipe="",
            upper=judged.upper,
            lower=judged.lower,
            verdict=judged.verdict,
            reason=judged.reason,
        )
    counted = [cell for condition, cell in cells.items() if condition not in SSL_NAMES]
    return Column(name, rows, cells, judge_all(counted)[0] if counted else None)


def _trainings(rows: Sequence[Row]) -> dict[str, tuple[Training, ...]]:
    by_condition: dict[str, list[Training]] = {}
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        encoding = row.get("encoding")
        by_condition.setdefault(row["countermeasure"], []).append(
            training(
                row["seed"],
                row["correct"],
                tests=row["test_images"],
                fitted=row["fitted"],
                trained=row["trained"],
                encoding=None if encoding is None else Encoding(**encoding),
            )
        )
    return {name: tuple(trainings) for name, trainings in by_condition.items()}


def page(tables: Sequence[Table], scale: str, picture: str) -> str:
    """Fill in ``grid.md`` beside this file.

    Args:
        tables: of one scale.
        scale: its name.
        picture: name of the plot's file, beside the page.
    """
    rows = [row for table in tables for row in table.rows]
    days = sorted({row["when"][:10] for row in rows})
    versions = sorted({", ".join(f"{n} {v}" for n, v in r["versions"].items()) for r in rows})
    return Template((Path(__file__).parent / "grid.md").read_text()).substitute(
        scale=scale,
        picture=picture,
        levels=BUDGET.levels,
        tables="\n\n".join(part for table in tables for part in _section(table)),
        rule=RULE,
        confidence=confidence_words(CONFIDENCE),
        trainings=len(rows),
        hours=f"{sum(row['seconds'] for row in rows) / 3600:.1f}",
        devices=" and ".join(sorted({row["device"].upper() for row in rows})),
        days=" to ".join(dict.fromkeys((days[0], days[-1]))),
        versions="; ".join(versions),
        conditions="\n".join(
            f"- `{name}`: {CONDITIONS[name]}"
            for name in CONDITIONS
            if any(name in table.conditions for table in tables)
        ),
    )


def _section(table: Table) -> Iterable[str]:
    row, tests = table.newest, table.newest["test_images"]
    others = f" {table.others} older rows are not shown." if table.others else ""
    yield f"## {table.title}"
    yield (
        f"{row['train_files']:,} PNG files of {row['classes']} classes train, {tests:,} clean "
        f"images test; guessing gets {100 * row['chance']:.0f} %. Victim: "
        f"{victim_words(row['recipe'])}.{''.join(_same(table))}{others}"
    )
    head = ("condition", "clean", *(column.name for column in table.columns))
    worst = ["**worst case**", "", *(_worst(column, table) for column in table.columns)]
    yield _markdown(head, [*_lines(table, _accuracy, _clean_accuracy), worst])
    yield (
        "What the rule compares, in %: the upper end A of each interval, of the clean control the "
        "lower end C, and in brackets how much of its own training files each network fits."
    )
    yield _markdown(head, _lines(table, _upper, _lower))
    yield "\n".join(
        f"- **{column.name}**. Mean |δ| {column.mean_abs:.2f} levels of 255. The tool's account: "
        + ", ".join(f"{name} {_value(value)}" for name, value in column.method.items())
        for column in table.columns
    )


def _same(table: Table) -> Iterable[str]:
    for name in table.conditions:
        if all(row["same_as_none"] for row in table.rows if row["countermeasure"] == name):
            yield f" `{name}` is that very training and was not run twice."


def _lines(table: Table, protected: Any, clean: Any) -> list[list[str]]:
    tests = table.newest["test_images"]
    lines = []
    for name in table.conditions:
        control = table.control.get(name, ())
        cells = [column.cells.get(name) for column in table.columns]
        shares = [protected(cell, tests) if cell else "" for cell in cells]
        lines.append([f"`{name}`", clean(control, tests) if control else "", *shares])
    return lines


def _accuracy(cell: EffectCell, tests: int) -> str:
    last = max(training.last for training in cell.protected)
    verdict = cell.verdict.replace("-", " ")
    return f"{figures(last, cell.reached, tests)}{_count(cell.protected)} {verdict}"


def _clean_accuracy(control: Sequence[Training], tests: int) -> str:
    worst = min(control, key=lambda training: training.last)
    return figures(worst.last, worst.best, tests) + _count(control)


def _upper(cell: EffectCell, tests: int) -> str:
    return f"≤ {at_most(cell.upper)} ({_fits(cell.protected)})"


def _lower(control: Sequence[Training], tests: int) -> str:
    lower = min(training.last_interval[0] for training in control)
    return f"≥ {at_least(lower)} ({_fits(control)})"


def _worst(column: Column, table: Table) -> str:
    whole, tests = column.whole, table.newest["test_images"]
    if whole is None:
        return ""
    text = f"**{100 * whole.worst.reached / tests:.1f}** under `{whole.worst.countermeasure}`"
    if whole.beyond is not None:
        more = f"{100 * whole.beyond.reached / tests:.1f} under `{whole.beyond.countermeasure}`"
        text += f" (inconclusive: {more})"
    if whole.because is not None:
        text += f"; `{whole.because.countermeasure}` decides"
    run, tried = (
        len(set(column.cells) - set(SSL_NAMES)),
        len(set(table.conditions) - set(SSL_NAMES)),
    )
    if run < tried:
        text += f" (of {run} of {tried} run)"
    return f"{text}: **{whole.verdict.replace('-', ' ')}**"


def figures(last: int, best: int, tests: int) -> str:
    """Accuracies in %: the last epoch's, and in brackets the best one's."""
    return f"{100 * last / tests:.1f} ({100 * best / tests:.1f})"


def victim_words(recipe: Mapping[str, Any]) -> str:
    """Architecture and training of a row's victim that learns from labels.

    Args:
        recipe: as the row has it.
    """
    victim = VictimRecipe(**recipe)
    return (
        f"{ARCHITECTURES[victim.net].title}, {victim.epochs} epochs in batches of {victim.batch}, "
        f"{describe_views(victim)}"
    )


def _fits(trainings: Sequence[Training]) -> str:
    return ", ".join(f"{100 * training.fit:.1f}" for training in trainings)


def _count(trainings: Sequence[Training]) -> str:
    return f", n = {len(trainings)}" if len(trainings) > 1 else ""


def _value(value: object) -> str:
    if isinstance(value, list):
        return "/".join(_value(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))
