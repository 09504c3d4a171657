"""What victims reach, as inline SVGs whose colours come from the style sheet.

Positions are shares of the plot, as in `curve`: it takes any width, and words keep their size.
"""

from __future__ import annotations

from ue_cli.report.effecttables import Named
from ue_cli.report.legend import legend
from ue_cli.report.markup import Html, tag
from ue_cli.report.verdicts import VERDICTS
from ue_cli.report.words import percent
from ue_cli.types import EffectCell, Training

_UNITS = 1000
"""Of the stretched drawing, in both directions."""
_ARMS = {
    "protected": "trained on the protected files",
    "control": "trained on the originals (clean control)",
}


def bars(cells: Named, tests: int, chance: float) -> Html:
    """One bar per cell: what an adversary gets, with its interval, and the control beside it.

    Args:
        cells: each with its name.
        tests: clean test images.
        chance: accuracy of guessing.
    """
    return tag(
        "figure",
        legend([("last", _ARMS["protected"]), ("control", _ARMS["control"])], chance),
        *(_row(name, cell, tests, chance) for name, cell in cells),
        _axis(),
        class_="bars",
    )


def _row(name: str, cell: EffectCell, tests: int, chance: float) -> Html:
    top = max(cell.protected, key=lambda one: one.best)
    last = max(one.last for one in cell.protected)
    marks = [
        tag("rect", x=0, y="15%", height="70%", width=_at(top.best / tests), class_="best"),
        tag("rect", x=0, y="15%", height="70%", width=_at(last / tests), class_="last"),
        tag("line", x1=_at(chance), x2=_at(chance), y1=0, y2="100%", class_="chance"),
        *_whisker(top.best_interval, "35%", "whisker"),
    ]
    words = percent(top.best / tests)
    if cell.control:
        worst = min(cell.control, key=lambda one: one.last)
        x = _at(worst.last / tests)
        marks += [
            *_whisker(worst.last_interval, "65%", "control"),
            tag("circle", cx=x, cy="65%", r=4, class_="control"),
        ]
        words += f", control {percent(worst.last / tests)}"
    words += f": {VERDICTS[cell.verdict].lower()}"
    return tag(
        "div",
        tag("p", name, tag("span", words, class_="amount"), class_="name"),
        tag("svg", *marks, role="img", aria_label=f"{name}: {words}"),
        class_=f"bar {cell.verdict}",
    )


def _whisker(interval: tuple[float, float], y: str, kind: str) -> list[Html]:
    """A line on a paler one, which keeps it apart from the bar."""
    low, high = (_at(end) for end in interval)
    return [tag("line", x1=low, x2=high, y1=y, y2=y, class_=one) for one in ("halo", kind)]


def _axis() -> Html:
    return tag("div", *(tag("span", f"{i} %") for i in (0, 25, 50, 75, 100)), class_="ticks")


def _at(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}%"


def epochs(cell: EffectCell, tests: int, chance: float) -> Html:
    """Accuracy after each epoch that was tested, one line per training.

    Args:
        cell: whose trainings.
        tests: clean test images.
        chance: accuracy of guessing.

    Returns:
        A figure; empty where nothing was tested more than once.
    """
    arms = {"protected": cell.protected, "control": cell.control}
    if max(len(one.correct) for one in cell.protected) < 2:
        return Html("")
    last = max(one.epochs[-1] for one in cell.protected)
    drawn = {name: trainings for name, trainings in arms.items() if trainings}
    paths = [
        tag("path", class_=name, d=_path(one, tests))
        for name, trainings in reversed(drawn.items())
        for one in trainings
    ]
    stretched = tag(
        "svg",
        *paths,
        viewBox=f"0 0 {_UNITS} {_UNITS}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    guess = _down(chance)
    drawing = tag(
        "svg",
        *_grid(last),
        tag("line", x1="0", x2="100%", y1=guess, y2=guess, class_="chance"),
        stretched,
        class_="plot",
        role="img",
        aria_label=_in_words(drawn, tests),
    )
    return tag(
        "figure",
        legend([(name, _ARMS[name]) for name in drawn], chance),
        tag("p", "Accuracy on clean test images", class_="axis"),
        drawing,
        tag("p", "Epoch", class_="axis below"),
        class_="curve",
    )


def _path(one: Training, tests: int) -> str:
    steps = max(1, one.epochs[-1] - 1)
    points = (
        f"{_UNITS * (epoch - 1) / steps:.1f} {_UNITS * (1 - right / tests):.1f}"
        for epoch, right in zip(one.epochs, one.correct, strict=True)
    )
    return "M" + " L".join(points)


def _grid(last: int) -> list[Html]:
    parts = []
    for i in range(5):
        y = _down(i / 4)
        parts += [
            tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if i else "base"),
            tag("text", f"{25 * i} %", x="0", y=y, dx=-8, dy="0.32em", text_anchor="end"),
        ]
    for epoch in _ticks(last):
        x = f"{100 * (epoch - 1) / (last - 1):.2f}%"
        parts += [
            tag("line", x1=x, x2=x, y1="100%", y2="101.5%", class_="base"),
            tag("text", str(epoch), x=x, y="100%", dy=20, text_anchor="middle"),
        ]
    return parts


def _ticks(last: int) -> list[int]:
    """The first epoch, the last, and round ones between them with room for their words."""
    steps = (m * 10**power for power in range(9) for m in (1, 2, 5))
    step = next(step for step in steps if last / step <= 5)
    inner = range(step, last, step)
    return [1, *(e for e in inner if e - 1 >= step / 2 and last - e >= step / 2), last]


def _down(accuracy: float) -> str:
    return f"{100 * (1 - accuracy):.2f}%"


def _in_words(drawn: dict[str, tuple[Training, ...]], tests: int) -> str:
    """The lines for those who cannot see them."""
    parts = ["Accuracy over the epochs."]
    for name, trainings in drawn.items():
        ends = ", ".join(
            f"{percent(one.last / tests)} at the end and {percent(one.best / tests)} at best"
            for one in trainings
        )
        parts.append(f"{_ARMS[name].capitalize()}: {ends}.")
    return " ".join(parts)
