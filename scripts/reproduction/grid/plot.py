"""The grid as one picture: a bar per training setting, arms side by side, a panel per data set."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reproduction.grid.tables import Column, Table, figures
from ue_cli.report.words import VERDICTS
from ue_cli.types import EffectCell, EffectVerdict, Training

_INK, _QUIET, _RULE = "#1f2933", "#66727f", "#dde2e7"
_CLEAN, _CLEAN_BEST = "#8b95a1", "#d3d8de"
_HUES: dict[EffectVerdict, tuple[str, str]] = {
    "protected": ("#2a7f6f", "#b5d9d1"),
    "weak": ("#b27a12", "#f0dcb1"),
    "not-shown": ("#b04a3f", "#ecc6c1"),
    "inconclusive": ("#a3adb8", "#dfe4e9"),
}
_LABELS, _COLUMN, _ROW, _HEAD, _FOOT = 1.45, 1.62, 0.44, 1.2, 0.8
"""Inches: row labels, a column, a row, what is above a panel, and the legend."""
_LINE = 0.29
"""Height of a small line of type, in rows."""
_DOTS = (0, (1, 1.2))
_BAR, _WIDE, _LAST = 0.30, 0.90, 1.45
"""Height of a bar in rows, how much of a column 100 % takes, and the height of the last row."""
_FEWEST = 4
"""Columns that there is room for in any case: the legend needs as much."""
_SMALL, _TINY, _CHARACTERS = 7.5, 7.0, 28
"""Sizes of type, and how many characters of the first a column has room for."""


def draw(tables: Sequence[Table], path: Path) -> None:
    """Write the picture as an SVG; the same tables give the same bytes.

    Args:
        tables: at least one.
        path: of the file.
    """
    with mpl.rc_context({"svg.hashsalt": "grid", "font.family": "DejaVu Sans", "font.size": 9}):
        figure = picture(tables)
        figure.savefig(path, format="svg", metadata={"Date": None})


def picture(tables: Sequence[Table]) -> Figure:
    """Lay the panels out, one below the other."""
    bodies = [_ROW * (len(table.countermeasures) + _LAST) for table in tables]
    heights = [_HEAD + _ROW * _lift(t) + body for t, body in zip(tables, bodies, strict=True)]
    columns = max(_FEWEST, *(len(table.columns) + 1 for table in tables))
    width, height = _LABELS + _COLUMN * columns + 0.1, sum(heights) + _FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height
    for table, body, own in zip(tables, bodies, heights, strict=True):
        top -= own
        span = _COLUMN * (len(table.columns) + 1)
        axes = figure.add_axes((_LABELS / width, top / height, span / width, body / height))
        _panel(axes, table)
    _legend(figure, _FOOT / height)
    return figure


def _panel(axes: Axes, table: Table) -> None:
    rows = len(table.countermeasures)
    axes.set_xlim(0, len(table.columns) + 1)
    axes.set_ylim(rows + _LAST, 0)
    axes.axis("off")
    seeds = "one seed" if table.seeds == 1 else f"up to {table.seeds} seeds"
    about = (
        f"{table.train_files:,} training files, {table.tests:,} clean test images, {seeds}. "
        "Accuracy in %: last epoch (best epoch)."
    )
    left = 0.06 - _LABELS / _COLUMN
    above = _lift(table)
    axes.text(left, -1.95 - above, table.title, size=12, weight="bold", color=_INK, va="center")
    axes.text(left, -1.38 - above, about, color=_QUIET, va="center")
    heads = [("clean", ["the control"]), *(_head(column) for column in table.columns)]
    for index, (name, below) in enumerate(heads):
        axes.text(index, -0.28 - _LINE * len(below), name, weight="bold", color=_INK, va="center")
        axes.text(index, 0, "\n".join(below), color=_QUIET, va="bottom", size=_SMALL)
        axes.plot([index, index], [0, rows + _LAST], color=_RULE, lw=0.8, zorder=0)
        guess = index + _WIDE * table.chance
        for row in range(rows):
            axes.plot([guess] * 2, [row + 0.48, row + 0.92], color=_INK, lw=0.8, ls=_DOTS, zorder=5)
    for index, name in enumerate(table.countermeasures):
        axes.text(-0.08, index + 0.58, name, ha="right", va="center", color=_INK)
        _clean(axes, index, table.control.get(name, ()), table.tests)
        for place, column in enumerate(table.columns, start=1):
            if name in column.cells:
                _protected(axes, place, index, column.cells[name], table.tests)
    axes.plot([-_LABELS / _COLUMN, len(heads)], [rows, rows], color=_RULE, lw=1.2, clip_on=False)
    axes.text(-0.08, rows + 0.5, "worst case", ha="right", va="center", weight="bold", color=_INK)
    for place, column in enumerate(table.columns, start=1):
        _worst(axes, place, rows, column, table)


def _lift(table: Table) -> float:
    """How many rows higher than usual the words above a panel stand."""
    return _LINE * max((len(_head(column)[1]) - 1 for column in table.columns), default=0)


def _head(column: Column) -> tuple[str, list[str]]:
    """An arm's name, and what is small below it."""
    name, _, older = column.name.partition(" (")
    strength = f"mean |δ| {column.mean_abs:.1f}/255"
    return name, [*textwrap.wrap(older.removesuffix(")"), _CHARACTERS), strength]


def _clean(axes: Axes, row: int, trainings: Sequence[Training], tests: int) -> None:
    if not trainings:
        return
    worst = min(trainings, key=lambda one: one.last)
    _bars(axes, 0, row, worst.last / tests, worst.best / tests, (_CLEAN, _CLEAN_BEST))
    _whisker(axes, 0, row, worst.last_interval)
    axes.text(0.02, row + 0.27, figures(worst.last, worst.best, tests), va="center", color=_INK)


def _protected(axes: Axes, place: int, row: int, cell: EffectCell, tests: int) -> None:
    top = max(cell.protected, key=lambda one: one.best)
    last = max(one.last for one in cell.protected)
    _bars(axes, place, row, last / tests, top.best / tests, _HUES[cell.verdict])
    _whisker(axes, place, row, top.best_interval)
    if cell.lower is not None:
        at = place + _WIDE * cell.lower
        axes.plot([at, at], [row + 0.46, row + 0.94], color=_INK, lw=1.3, zorder=4)
    axes.text(place + 0.02, row + 0.27, figures(last, top.best, tests), va="center", color=_INK)
    _verdict(axes, place, row + 0.27, cell.verdict)


def _bars(
    axes: Axes, place: int, row: int, last: float, best: float, hues: tuple[str, str]
) -> None:
    middle = row + 0.70
    axes.barh(middle, _WIDE * best, _BAR, place, color=hues[1], zorder=2)
    axes.barh(middle, _WIDE * last, _BAR, place, color=hues[0], zorder=3)


def _whisker(axes: Axes, place: int, row: int, interval: tuple[float, float]) -> None:
    ends = [place + _WIDE * end for end in interval]
    axes.plot(ends, [row + 0.70] * 2, color=_INK, lw=0.9, zorder=4, solid_capstyle="butt")


def _worst(axes: Axes, place: int, row: int, column: Column, table: Table) -> None:
    worst = column.whole.worst
    axes.text(
        place + 0.02,
        row + 0.30,
        f"{100 * worst.reached / table.tests:.1f}",
        va="center",
        weight="bold",
        color=_INK,
    )
    _verdict(axes, place, row + 0.30, column.whole.verdict)
    told = [
        ("under", worst),
        ("decided by", column.whole.because),
        ("more, inconclusive:", column.whole.beyond),
    ]
    lines = [f"{words} {cell.countermeasure}" for words, cell in told if cell is not None]
    lines += [table.run(column)] if table.run(column) else []
    for index, line in enumerate(lines):
        height = row + 0.66 + _LINE * index
        axes.text(place + 0.02, height, line, va="center", size=_TINY, color=_QUIET)


def _verdict(axes: Axes, place: int, height: float, verdict: EffectVerdict) -> None:
    hue = _QUIET if verdict == "inconclusive" else _HUES[verdict][0]
    axes.text(
        place + 0.92,
        height,
        VERDICTS[verdict].lower(),
        va="center",
        ha="right",
        size=_TINY,
        color=hue,
    )


def _legend(figure: Figure, share: float) -> None:
    bars = [
        Patch(color=_HUES[name][0], label=f"{VERDICTS[name].lower()}: last epoch") for name in _HUES
    ]
    lines = [
        Patch(color=_CLEAN_BEST, label="pale: best epoch"),
        Line2D([], [], color=_INK, lw=0.9, label="95 % interval of the best epoch"),
        Line2D(
            [],
            [],
            color=_INK,
            lw=0,
            marker="|",
            ms=9,
            mew=1.3,
            label="control: lower end of its interval",
        ),
        Line2D([], [], color=_QUIET, lw=0.7, ls=_DOTS, label="guessing"),
    ]
    figure.legend(
        handles=[handle for pair in zip(bars, lines, strict=True) for handle in pair],
        loc="center",
        bbox_to_anchor=(0.5, share / 2),
        ncols=4,
        frameon=False,
        fontsize=8,
        labelcolor=_INK,
        handlelength=1.4,
        columnspacing=2.2,
    )
