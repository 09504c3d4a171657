"""How `docs/csd.md` says a figure, a difference, and whether seeds explain it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from reproduction.tue.plan import Victim
from reproduction.tue.tables import Figures

MISSING = "not measured"
WORDS: dict[Victim, str] = {
    "supervised": "with labels",
    "simclr": "SimCLR",
    "moco": "MoCo",
    "simsiam": "SimSiam",
}


def cell(figures: Figures | None, beside: str = "best epoch") -> str:
    """The mean, and in brackets the range and the count; then the mean of what is beside it."""
    if figures is None:
        return MISSING
    low, high = min(figures.values), max(figures.values)
    if figures.count == 1:
        text = f"{figures.mean:.1f} (n = 1)"
    else:
        text = f"{figures.mean:.1f} ({low:.1f}–{high:.1f}, n = {figures.count})"
    if figures.beside:
        text += f", {beside} {fmean(figures.beside):.1f}"
    return text


def verdict(first: Figures, second: Figures) -> str:
    """Whether seeds explain a difference."""
    if min(first.count, second.count) == 1:
        return "of one seed"
    return "within what seeds differ by" if first.meets(second) else "more than seeds differ by"


def compared(first: Figures, second: Figures, of: str) -> str:
    """The difference of two arms in words.

    Args:
        first: asked about.
        second: beside it.
        of: what the second one is.
    """
    apart = first.mean - second.mean
    return (
        f"{first.mean:.1f} % against {second.mean:.1f} % of {of}: {abs(apart):.1f} points "
        f"{'lower' if apart < 0 else 'higher'}, {verdict(first, second)}"
    )


def subject(victim: Victim) -> str:
    """What of a victim is spoken of."""
    return "with labels" if victim == "supervised" else f"{WORDS[victim]}'s probe"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def italic(value: float | None) -> str:
    """A published figure; nothing where there is none."""
    return "" if value is None else f"*{value:.2f}*"
