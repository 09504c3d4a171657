"""The grid as a page of Markdown, every figure in it from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reproduction.grid.plan import BUDGET
from reproduction.grid.tables import Column, Table, figures
from ue_cli.countermeasures.registry import find
from ue_cli.pipeline.certification.statement import describe_views
from ue_cli.pipeline.evaluation.judge import CONFIDENCE, RULE
from ue_cli.report.words import VERDICTS
from ue_cli.training.architectures import ARCHITECTURES
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import EffectCell, Training
from ue_cli.types.wording import at_least, at_most, confidence_words

_ARMS = {
    "clean": "the originals: the control of everything beside it",
    "csd": "class textures, chosen by CSD: the default of `ue protect`",
    "random": "class textures as they are drawn, which CSD has to beat",
    "csd-pixel": "CSD in pixel space (Ren et al., ICLR 2023): `--space pixel`",
    "tue": "CSD and a contrastive surrogate, a pattern per photo (Ren et al., ICLR 2023): "
    "`--method tue`",
    "em": "error-minimising patterns (Huang et al., ICLR 2021): `--method em`",
    "pue": "error-minimising patterns under weight noise (Wang et al., NDSS 2025): `--method pue`",
}


def page(tables: Sequence[Table], scale: str, picture: str) -> str:
    """Write the whole page.

    Args:
        tables: of one scale.
        scale: its name.
        picture: name of the plot's file, beside the page.
    """
    parts = [
        "# Methods against countermeasures",
        f"<!-- Made by `scripts/reproduce.py grid --scale {scale} --plot`; change that. -->",
        "What a network learns from files that `ue protect` wrote (at most "
        f"{BUDGET.levels}/255 per channel), under each countermeasure, beside the same training on "
        "the originals. Every figure is a training on *files on disk*, measured as `ue evaluate` "
        "does: accuracy in % on clean test images after the **last epoch (best epoch)**. Of "
        "several seeds, each with a key of its own, the highest is shown, and of the control the "
        "lowest: what the rule compares.",
        f"![One bar per training: arms side by side, one row per countermeasure]({picture})",
        *(part for table in tables for part in _section(table)),
        "## The rule",
        f"{RULE} Intervals are Clopper–Pearson's at {confidence_words(CONFIDENCE)}.",
        "## How it was made",
        _made(tables, scale),
    ]
    return "\n\n".join(parts) + "\n"


def _section(table: Table) -> Iterable[str]:
    yield f"## {table.title}"
    yield _setting(table)
    yield _rows(
        ("countermeasure", "clean", *(column.name for column in table.columns)),
        [
            (
                f"`{name}`",
                _control(table.control.get(name, ()), table.tests),
                *(_cell(column.cells.get(name), table.tests) for column in table.columns),
            )
            for name in table.countermeasures
        ]
        + [("**worst case**", "", *(_worst(column, table) for column in table.columns))],
    )
    yield (
        "What the rule compares, in %: the upper end A of each interval, of the clean control the "
        "lower end C, and in brackets how much of its own training files each network fits."
    )
    yield _rows(
        ("countermeasure", "clean", *(column.name for column in table.columns)),
        [
            (
                f"`{name}`",
                _lower(table.control.get(name, ())),
                *(_upper(column.cells.get(name)) for column in table.columns),
            )
            for name in table.countermeasures
        ],
    )
    if table.columns:
        yield "\n".join(f"- {_described(column)}" for column in table.columns)


def _setting(table: Table) -> str:
    equal = sorted({row["countermeasure"] for row in table.rows if row["same_as_none"]})
    same = "".join(
        f" `{name}` is that very training and was not run twice."
        for name in equal
        if all(row["same_as_none"] for row in table.rows if row["countermeasure"] == name)
    )
    others = f" {table.others} older rows are not shown." if table.others else ""
    return (
        f"{table.train_files:,} PNG files of {table.classes} classes train, {table.tests:,} clean "
        f"images test; guessing gets {100 * table.chance:.0f} %. Victim: "
        f"{victim_words(table.recipe)}.{same}{others}"
    )


def victim_words(recipe: Mapping[str, Any]) -> str:
    """Architecture and training of a row's victim.

    Args:
        recipe: as the row has it.
    """
    made = VictimRecipe(**recipe)
    return (
        f"{ARCHITECTURES[made.net].title}, {made.epochs} epochs in batches of {made.batch}, "
        f"{describe_views(made)}"
    )


def _control(trainings: Sequence[Training], tests: int) -> str:
    if not trainings:
        return ""
    worst = min(trainings, key=lambda one: one.last)
    return figures(worst.last, worst.best, tests) + _seeds(trainings)


def _cell(cell: EffectCell | None, tests: int) -> str:
    if cell is None:
        return ""
    last = max(one.last for one in cell.protected)
    shown = figures(last, cell.reached, tests) + _seeds(cell.protected)
    return f"{shown} {VERDICTS[cell.verdict].lower()}"


def _worst(column: Column, table: Table) -> str:
    whole, tests = column.whole, table.tests
    shown = f"**{100 * whole.worst.reached / tests:.1f}** under `{whole.worst.countermeasure}`"
    if whole.beyond is not None:
        more = f"{100 * whole.beyond.reached / tests:.1f} under `{whole.beyond.countermeasure}`"
        shown += f" (inconclusive: {more})"
    if whole.because is not None:
        shown += f"; `{whole.because.countermeasure}` decides"
    part = f" ({table.run(column)})" if table.run(column) else ""
    return f"{shown}{part}: **{VERDICTS[whole.verdict].lower()}**"


def _lower(trainings: Sequence[Training]) -> str:
    if not trainings:
        return ""
    return f"≥ {at_least(min(one.last_interval[0] for one in trainings))} ({_fits(trainings)})"


def _upper(cell: EffectCell | None) -> str:
    return "" if cell is None else f"≤ {at_most(cell.upper)} ({_fits(cell.protected)})"


def _fits(trainings: Sequence[Training]) -> str:
    return ", ".join(f"{100 * one.fit:.1f}" for one in trainings)


def _seeds(trainings: Sequence[Training]) -> str:
    return f", n = {len(trainings)}" if len(trainings) > 1 else ""


def _described(column: Column) -> str:
    arm = column.name.partition(" (")[0]
    made = ", ".join(f"{name} {_value(value)}" for name, value in column.method.items())
    about = _ARMS.get(arm, f"`--method {arm}`")
    return (
        f"**{column.name}**: {about}. Mean |δ| {column.mean_abs:.2f} levels of 255, largest "
        f"{column.linf:g}, as the tool measured. Its own account: {made}."
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return "/".join(_value(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _made(tables: Sequence[Table], scale: str) -> str:
    rows = [row for table in tables for row in table.rows]
    tried = {name: None for table in tables for name in table.countermeasures}
    hours = sum(row["seconds"] for row in rows) / 3600
    days = sorted({row["when"][:10] for row in rows})
    versions = sorted({", ".join(f"{n} {v}" for n, v in r["versions"].items()) for r in rows})
    devices = sorted({row["device"].upper() for row in rows})
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    lines = [f"- `{name}`: {find(name).summary}" for name in tried]
    return (
        f"{len(rows)} trainings at scale `{scale}`, {hours:.1f} hours on {' and '.join(devices)}, "
        f"{when}, with {'; '.join(versions)}. Rows with every epoch, setting and version: "
        "`scripts/results/grid.json`. Countermeasures:\n\n" + "\n".join(lines)
    )


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
