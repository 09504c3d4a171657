"""The geometry of the two line charts, which the templates draw as inline SVG.

Positions are shares of the plot, so that it takes any width while text and lines keep their size;
only the lines themselves, which need a coordinate system, lie in a stretched drawing of 1,000 ×
1,000 units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

from ue_cli.report.words import percent
from ue_cli.types import EffectCell, EtaBound, LearnabilityCertificate, SurrogateCertificate
from ue_cli.types.wording import at_most

_UNITS = 1000
_TOPS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
ARMS = {
    "protected": "trained on the protected files",
    "control": "trained on the originals (clean control)",
}
"""The two lines of every chart: style classes and words."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        arm: of `ARMS`.
        path: in units of the stretched drawing, as SVG writes it.
        end: its last point in shares of the plot, from the left and from the top.
    """

    arm: str
    path: str
    end: Point


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines in a plot.

    Attributes:
        lines: to draw in this order.
        x_ticks, y_ticks: where, as a share of the plot, and what is written there.
        chance: where guessing lies, from the top.
        marks: vertical lines: where, and why.
        words: the lines for those who cannot see them.
    """

    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    chance: float
    marks: tuple[tuple[float, str], ...]
    words: str


def _line(arm: str, points: Iterable[Point]) -> Line:
    corners = list(points)
    path = " L".join(f"{_UNITS * x:.1f} {_UNITS * y:.1f}" for x, y in corners)
    return Line(arm, f"M{path}", corners[-1])


def _shares(top: float) -> tuple[tuple[float, str], ...]:
    """Five round accuracies from 0 to ``top``."""
    return tuple((1 - i / 4, f"{100 * top * i / 4:g} %") for i in range(5))


def eta_chart(certificate: LearnabilityCertificate, chance: float) -> Chart | None:
    """Draw certified accuracy against η for both surrogates, each η by itself.

    A bound at η holds for every smaller shift too, so between two certified radii the line has the
    height of the larger one; it ends at the last radius that could be certified.

    Args:
        certificate: of the protected surrogate and, where there is one, its control.
        chance: accuracy of guessing, in [0, 1].

    Returns:
        None where nothing could be certified.
    """
    surrogates = {"protected": certificate.protected, "control": certificate.control}
    present = {arm: surrogate for arm, surrogate in surrogates.items() if surrogate is not None}
    certified = {arm: _certified(surrogate) for arm, surrogate in present.items()}
    drawn = {arm: bounds for arm, bounds in certified.items() if bounds}
    last = max((bounds[-1].eta for bounds in drawn.values()), default=0.0)
    if last <= 0:
        return None
    right = 1.25 * last
    highest = max(chance, *(bound.upper or 0 for bounds in drawn.values() for bound in bounds))
    top = next((top for top in _TOPS if top >= 1.05 * highest), _TOPS[-1])
    lines, words = [], ["Certified accuracy against η."]
    marks: dict[tuple[float, str], list[str]] = {}
    for arm, bounds in drawn.items():
        corners, left = [], 0.0
        for bound in bounds:
            height = 1 - (bound.upper or 0) / top
            corners += [(left / right, height), (bound.eta / right, height)]
            left = bound.eta
        lines.append(_line(arm, corners))
        abstains = len(bounds) < len(present[arm].bounds)
        end = f"{'abstains beyond' if abstains else 'grid ends at'} η = {left:.3g}"
        marks.setdefault((left / right, end), []).append(arm)
    for arm in present:
        ends = [certified[arm][0], certified[arm][-1]] if certified[arm] else []
        bounds_in_words = [f"at most {at_most(b.upper or 0)} at η = {b.eta:.3g}" for b in ends]
        words.append(f"{ARMS[arm].capitalize()}: {', '.join(bounds_in_words) or 'abstains'}.")
    return Chart(
        lines=tuple(lines),
        x_ticks=tuple((eta / right, f"{eta:g}") for eta in _round_ticks(right)),
        y_ticks=_shares(top),
        chance=1 - chance / top,
        marks=tuple(
            (x, end if len(arms) == len(drawn) else f"{arms[0]}: {end}")
            for (x, end), arms in sorted(marks.items(), reverse=True)
        ),
        words=" ".join(words),
    )


def _certified(surrogate: SurrogateCertificate) -> list[EtaBound]:
    """The bounds in the order of η up to the first abstention."""
    ordered = sorted(surrogate.bounds, key=lambda bound: bound.eta)
    gap = next((i for i, bound in enumerate(ordered) if bound.upper is None), len(ordered))
    return ordered[:gap]


def bounds_table(arms: Sequence[SurrogateCertificate]) -> list[list[str]]:
    """Set the upper bounds of all three statements against η; a tail of abstentions is one row."""
    kinds = ("bounds", "simultaneous", "population")
    columns = [{b.eta: b.upper for b in getattr(arm, kind)} for kind in kinds for arm in arms]
    etas = sorted({eta for column in columns for eta in column})
    rows = [[column.get(eta) for column in columns] for eta in etas]
    certified = max((i for i, row in enumerate(rows, 1) if row != [None] * len(row)), default=0)
    names = [f"{eta:.3g}" for eta in etas]
    if len(rows) - certified > 1:
        names[certified:] = [f"{names[certified]} to {names[-1]}"]
    return [
        [name, *("abstains" if upper is None else at_most(upper) for upper in row)]
        for name, row in zip(names, rows, strict=False)
    ]


def _round_ticks(right: float) -> list[float]:
    """At most six round numbers from 0 to ``right``."""
    power = 10 ** floor(log10(right / 5))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= right / 5 * 0.999)
    return [round(i * step, 12) for i in range(int(right / step + 1e-9) + 1)]


def epoch_chart(cell: EffectCell, tests: int, chance: float) -> Chart | None:
    """Draw accuracy after each epoch that was tested, one line per training.

    Args:
        cell: whose trainings.
        tests: clean test images.
        chance: accuracy of guessing, in [0, 1].

    Returns:
        None where nothing was tested more than once.
    """
    if max(len(training.correct) for training in cell.protected) < 2:
        return None
    last = max(training.epochs[-1] for training in cell.protected)
    lines, words = [], []
    for arm, trainings in (("control", cell.control), ("protected", cell.protected)):
        for training in trainings:
            lines.append(
                _line(
                    arm,
                    (
                        ((epoch - 1) / max(1, training.epochs[-1] - 1), 1 - correct / tests)
                        for epoch, correct in zip(training.epochs, training.correct, strict=True)
                    ),
                )
            )
            ends = (
                f"{percent(training.last / tests)} at the end and {percent(training.best / tests)}"
            )
            words.append(f"{ARMS[arm].capitalize()}: {ends} at best.")
    return Chart(
        lines=tuple(lines),
        x_ticks=tuple(((epoch - 1) / (last - 1), str(epoch)) for epoch in _epoch_ticks(last)),
        y_ticks=_shares(1.0),
        chance=1 - chance,
        marks=(),
        words=" ".join(["Accuracy over the epochs.", *words]),
    )


def _epoch_ticks(last: int) -> list[int]:
    """The first epoch, the last, and round ones between them with room for their words."""
    steps = (m * 10**power for power in range(9) for m in (1, 2, 5))
    step = next(step for step in steps if last / step <= 5)
    inner = range(step, last, step)
    return [1, *(e for e in inner if e - 1 >= step / 2 and last - e >= step / 2), last]
