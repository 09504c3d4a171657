"""The study as one picture: a panel per kind of victim, a row per arm."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproduction.tue import published
from reproduction.tue.plan import VICTIMS, Victim
from reproduction.tue.tables import Results
from reproduction.tue.words import WORDS

_INK, _QUIET, _RULE = "#1f2933", "#66727f", "#dde2e7"
_CLEAN, _OURS, _RANDOM = "#8b95a1", "#2a7f6f", "#b27a12"
_LABELS, _PANEL, _ROW, _HEAD, _FOOT = 1.75, 2.05, 0.25, 0.75, 0.75
"""Inches: row labels, a panel, a row, what is above the panels, axis and legend."""
_DOTS = (0, (1, 1.2))


def draw(results: Results, path: Path) -> None:
    """Write the picture as an SVG; the same rows give the same bytes.

    Args:
        results: with at least one victim.
        path: of the file.
    """
    with mpl.rc_context({"svg.hashsalt": "csd", "font.family": "DejaVu Sans", "font.size": 9}):
        picture(results).savefig(path, format="svg", metadata={"Date": None})


def picture(results: Results) -> Figure:
    """Lay the panels out side by side."""
    names = [arm.name for arm in results.measured()]
    body = _ROW * len(names)
    width, height = _LABELS + _PANEL * len(VICTIMS) + 0.1, _HEAD + body + _FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    for place, victim in enumerate(VICTIMS):
        left = (_LABELS + place * _PANEL) / width
        spot = (left, _FOOT / height, 0.92 * _PANEL / width, body / height)
        _panel(figure.add_axes(spot), victim, names, results, labelled=place == 0)
    figure.text(
        0.1 / width,
        1 - 0.22 / height,
        "CIFAR-10: accuracy on clean test images in %",
        size=12,
        weight="bold",
        color=_INK,
        va="center",
    )
    _legend(figure, 0.2 / height)
    return figure


def _panel(
    axes: Axes, victim: Victim, names: list[str], results: Results, *, labelled: bool
) -> None:
    axes.set_xlim(0, 100)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_title(WORDS[victim], size=9, weight="bold", color=_INK, loc="left", pad=4)
    axes.set_yticks(range(len(names)), names if labelled else [""] * len(names))
    axes.set_xticks((0, 25, 50, 75))
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=_RULE, lw=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.axvline(results.chance(), color=_INK, lw=0.8, ls=_DOTS)
    clean = results.of("clean", victim)
    if clean is not None:
        axes.axvline(clean.mean, color=_CLEAN, lw=1)
    for row, name in enumerate(names):
        told = published.ACCURACY.get(name, {}).get(victim)
        if told is not None:
            axes.plot([told], [row], marker="D", ms=4, mfc="none", mec=_QUIET, mew=0.8, lw=0)
        figures = results.of(name, victim)
        if figures is None:
            continue
        hue = _CLEAN if name == "clean" else _RANDOM if name.startswith("random-") else _OURS
        if figures.beside:
            axes.plot([fmean(figures.beside)], [row], marker="|", ms=8, mec=hue, mew=1.2, lw=0)
        ends = [min(figures.values), max(figures.values)]
        axes.plot(ends, [row, row], color=hue, lw=1.6, solid_capstyle="butt")
        axes.plot([figures.mean], [row], marker="o", ms=5, mfc=hue, mec=hue, lw=0)


def _legend(figure: Figure, height: float) -> None:
    def mark(label: str, marker: str, hue: str, filled: bool = True) -> Line2D:
        face = hue if filled else "none"
        return Line2D([], [], lw=0, marker=marker, ms=5, mec=hue, mfc=face, label=label)

    figure.legend(
        handles=[
            mark("mean (line: range)", "o", _OURS),
            mark("random codes", "o", _RANDOM),
            mark("best epoch; probe fitted to the originals", "|", _OURS),
            mark("published (ResNet-18, 200/1,000 epochs)", "D", _QUIET, filled=False),
            Line2D([], [], color=_CLEAN, lw=1, label="clean control"),
            Line2D([], [], color=_INK, lw=0.8, ls=_DOTS, label="guessing"),
        ],
        loc="center",
        bbox_to_anchor=(0.5, height),
        ncols=6,
        frameon=False,
        fontsize=7.2,
        labelcolor=_INK,
        handlelength=1.4,
        columnspacing=1.2,
    )
