"""Draw the charts in ``docs`` as SVG, out of the rows in ``results`` alone.

python scripts/plots.py looks           # docs/looks.svg; reproduce.py grid --plot makes the rest
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from reproduction.page import Column, Table
from store import RESULTS, Row, read_rows

DOCS = Path(__file__).resolve().parent.parent / "docs"
INK, QUIET, RULE = "#1f2933", "#8b95a1", "#dde2e7"
HUES = {"protected": "#2a7f6f", "weak": "#b27a12", "not-shown": "#b04a3f", "inconclusive": QUIET}
DOTS = (0, (1, 1.2))
LABELS, PANEL, ROW, HEAD, FOOT = 1.9, 1.85, 0.25, 0.85, 0.55
"""Inches: row labels, a panel, a row, what is above the panels, and the legend."""


def save(figure: Figure, path: Path) -> None:
    """Write a picture; the same picture gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "ue", "font.family": "DejaVu Sans"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def draw_grid(tables: Sequence[Table], path: Path) -> None:
    """Draw a band per data set, in it a panel per condition, in that a row per arm.

    Args:
        tables: at least one.
        path: of the picture.
    """
    bodies = [ROW * (len(table.columns) + 0.5) for table in tables]
    panels = max(4, *(len(table.conditions) for table in tables))
    width = LABELS + PANEL * panels + 0.1
    height = sum(bodies) + HEAD * len(tables) + FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height
    for table, body in zip(tables, bodies, strict=True):
        title = f"{table.title}: accuracy on clean test images in %"
        figure.text(
            0.1 / width, (top - 0.2) / height, title, size=11, weight="bold", color=INK, va="center"
        )
        top -= HEAD + body
        for index, condition in enumerate(table.conditions):
            place = (LABELS + index * PANEL) / width, (top + 0.25) / height
            axes = figure.add_axes((*place, 0.92 * PANEL / width, body / height))
            _panel(axes, table, condition, labelled=index == 0)
    marks = [
        Line2D([], [], lw=0, marker="o", ms=5, color=h, label=n.replace("-", " "))
        for n, h in HUES.items()
    ]
    marks += [
        Line2D([], [], lw=0, marker="|", ms=8, mew=1.2, color=INK, label="best epoch"),
        Line2D([], [], color=QUIET, lw=1, label="clean control, the lowest"),
        Line2D([], [], color=INK, lw=0.8, ls=DOTS, label="guessing"),
    ]
    figure.legend(handles=marks, loc="lower center", ncols=7, frameon=False, fontsize=8)
    save(figure, path)


def _panel(axes: Axes, table: Table, condition: str, *, labelled: bool) -> None:
    names, tests = [column.name for column in table.columns], table.newest["test_images"]
    axes.set_xlim(0, 100)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_title(condition, size=9, weight="bold", color=INK, loc="left", pad=4)
    axes.set_yticks(range(len(names)), names if labelled else [""] * len(names))
    axes.set_xticks((0, 25, 50, 75))
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.spines[:].set_visible(False)
    axes.axvline(100 * table.newest["chance"], color=INK, lw=0.8, ls=DOTS)
    if condition in table.control:
        lowest = min(training.last for training in table.control[condition])
        axes.axvline(100 * lowest / tests, color=QUIET, lw=1)
    for row, column in enumerate(table.columns):
        _arm(axes, row, column, condition, tests)


def _arm(axes: Axes, row: int, column: Column, condition: str, tests: int) -> None:
    """A dot for the last epoch of every training, a line for the best epoch of the best."""
    cell = column.cells.get(condition)
    if cell is None:
        return
    hue = HUES[cell.verdict]
    last = [100 * training.last / tests for training in cell.protected]
    best = 100 * cell.reached / tests
    axes.plot([min(last), best], [row, row], color=hue, lw=1.2)
    axes.plot(last, [row] * len(last), marker="o", ms=4.5, color=hue, lw=0)
    axes.plot([best], [row], marker="|", ms=8, mew=1.2, color=hue, lw=0)


def draw_looks(path: Path) -> None:
    """Effect against visibility on 1,000 files of Tiny-ImageNet, 64 px PNG.

    Args:
        path: of the picture.
    """
    figure = Figure(figsize=(7, 4.5), facecolor="white")
    axes = figure.add_subplot()
    for look in read_rows(RESULTS / "looks.json"):
        rows = _trainings(look) if look["source"] == "tiny" else []
        if rows:
            last = [100 * row["last"] for row in rows]
            label = look["perturbation"] or f"ue protect --look {look['look']}"
            axes.scatter([look["jod_median"]] * len(last), last, label=label)
    for quality, jod in ((75, 9.73), (50, 9.38)):
        axes.axvline(jod, color="gray", linewidth=0.5)
        axes.text(jod, 4, f" JPEG q{quality}", fontsize=7)
    axes.set_xlabel("quality beside the original, JOD (median; 10: no visible difference)")
    axes.set_ylabel("accuracy after the last epoch, % (lower is more effect)")
    axes.set_ylim(0, 80)
    axes.legend(fontsize=7, loc="upper left")
    figure.tight_layout()
    save(figure, path)


def _trainings(look: Row) -> list[Row]:
    """The plain trainings on files that look so."""
    if look["perturbation"] is not None:
        rows = read_rows(RESULTS / "pretrained.json")
        wanted: Row = {"arm": look["perturbation"], "dataset": "tiny-imagenet-10"}
        wanted["countermeasure"] = "none"
    else:
        rows = read_rows(RESULTS / "effect.json")
        arm = {"standard": "csd"}.get(look["look"], look["look"])
        wanted = {"experiment": "tiny-1000", "arm": arm, "against": "none"}
    same = [row for row in rows if all(row.get(n) == value for n, value in wanted.items())]
    return [row for row in same if not row.get("chain")]


def main() -> None:
    """Draw a chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("chart", choices=("looks",))
    parser.add_argument("--docs", type=Path, default=DOCS)
    draw_looks(parser.parse_args().docs / "looks.svg")


if __name__ == "__main__":
    main()
