"""What the trainings of a cell prove about the protection, and what all cells prove together.

Trainings of different seeds are tested on the same images, so their errors are not independent:
pooled into one count they would give an interval that is too narrow by up to the square root of
their number. Each training has a Clopper–Pearson interval of its own instead, and a verdict takes
the end that speaks against the protection: the upper bound of the best training on protected
files, at its best epoch, and the lower bound of the worst control, at its last. The best epoch
was picked on the test images, which can only raise that upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.types import EffectCell, EffectVerdict, Encoding, Training
from ue_cli.types.wording import at_least, at_most

CONFIDENCE = 0.95
"""Of each Clopper–Pearson interval."""
REMAINING_SHARE = 1 / 3
"""The largest share of what the control learned, beyond guessing, that a protected cell keeps."""
MARGIN = 0.05
"""By how much a victim must stay below its control for any protection to be shown, and a control
that is an encoder above itself untrained.

Patterns mislead the probe of an encoder that has learned nothing: codes of 8 × 8 cells on 1,500
CIFAR-10 images (1,000 test images, one seed) take it from 32.4 to 25.1 %, but after three epochs
from 33.7 to 31.0 %.
"""
FIT_SLACK = 0.02
"""How much less of its own files a victim may fit than the control of its."""

_GRAVITY: dict[EffectVerdict, int] = {"protected": 0, "weak": 1, "not-shown": 2}
_ROUNDING = 1e-9

RULE = (
    "A = upper end of the victim's interval, at the best epoch of its best training: what somebody "
    "gets who stops at the right moment. C = lower end of the control's interval, at the last "
    "epoch of its worst training. g = accuracy of guessing. Inconclusive: C is under twice g "
    "(where that is beyond reach, under half of the way from g to 100 %), or the victim fits its "
    "own augmented training files more than 2 points less than the control fits its own, each on "
    "average over its trainings. "
    "Of an encoder, which learns without labels, these are accuracies of a linear probe on its "
    "features, g is that of a probe on the same encoder before its first step, fitted to the "
    "originals (the highest of its trainings), and it is inconclusive where C is under 5 points "
    "above g; fits do not count, because a probe always reaches its optimum. "
    "Protected: A is at most g + (C − g)/3, so at most a third of what can be learned is left, "
    "and at least 5 points under C. Weak: A is at least 5 points under C. Not shown: otherwise. "
    "The whole has the gravest verdict of its conclusive cells (not shown, weak, protected); it is "
    "inconclusive where there are none, or where none is ‘not shown’ but an inconclusive cell "
    "reached more than all of them."
)


@dataclass(frozen=True, slots=True)
class Judged:
    """The bounds of one cell, and what follows; see `EffectCell`."""

    upper: float
    lower: float | None
    verdict: EffectVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Whole:
    """What all cells of one coverage say together.

    Attributes:
        coverage: per cent of the training files that are protected.
        verdict: by the `RULE`.
        worst: the cell in which the most is learned: among conclusive ones, or of all where none
            is conclusive.
        beyond: an inconclusive cell that reached more than that; None: there is none.
        because: the conclusive cell whose verdict it is; None: it is that of ``worst``, or is
            inconclusive.
    """

    coverage: int
    verdict: EffectVerdict
    worst: EffectCell
    beyond: EffectCell | None
    because: EffectCell | None = None


def learning_mark(chance: float) -> float:
    """From which accuracy on a control has learned something: twice that of guessing.

    Where that would ask for perfection, half of the way from guessing to perfection.
    """
    if not 0 < chance < 1:
        raise ValueError(f"Guessing is right more than never and less than always; not {chance}.")
    return min(2 * chance, (1 + chance) / 2)


def training(
    seed: int,
    correct: Sequence[int],
    *,
    tests: int,
    fitted: int,
    trained: int,
    encoding: Encoding | None = None,
) -> Training:
    """A finished training with the intervals of its last and its best epoch; see `Training`."""
    return Training(
        seed=seed,
        correct=tuple(correct),
        fitted=fitted,
        trained=trained,
        last_interval=clopper_pearson(correct[-1], tests, CONFIDENCE),
        best_interval=clopper_pearson(max(correct), tests, CONFIDENCE),
        encoding=encoding,
    )


def judge_cell(
    protected: Sequence[Training], control: Sequence[Training], *, chance: float
) -> Judged:
    """Decide what one cell shows, by the `RULE`.

    Args:
        protected: trainings on the protected files, one per seed.
        control: on the originals, under the same countermeasure; empty without originals.
        chance: accuracy of guessing, in (0, 1).
    """
    upper = max(run.best_interval[1] for run in protected)
    if not control:
        return Judged(
            upper,
            None,
            "inconclusive",
            f"There is no control: these trainings reach at most {at_most(upper)}, but only "
            "trainings on the originals can show whether that is little. Give the originals.",
        )
    lower = min(run.last_interval[0] for run in control)
    floor = _untrained(control)
    doubt = (
        _undertrained(protected, control, lower, chance)
        if floor is None
        else _no_better(lower, floor)
    )
    if doubt:
        return Judged(upper, lower, "inconclusive", doubt)
    beyond = ("guessing", chance) if floor is None else ("the untrained encoder", floor)
    return Judged(upper, lower, *_compared(upper, lower, *beyond))


def _undertrained(
    protected: Sequence[Training], control: Sequence[Training], lower: float, chance: float
) -> str:
    """Why classifiers prove nothing; empty where they do."""
    mark = learning_mark(chance)
    if lower < mark - _ROUNDING:
        return (
            f"The control learns too little to compare with: {at_least(lower)} for certain, where "
            f"{at_least(mark)} are asked for. Train on more files, or test on more images."
        )
    fit, control_fit = fmean(run.fit for run in protected), fmean(run.fit for run in control)
    if fit < control_fit - FIT_SLACK - _ROUNDING:
        return (
            f"The victim fits {100 * fit:.1f} % of its own files, the control "
            f"{100 * control_fit:.1f} % of the originals: it has not learned its files yet, so "
            "what it gets wrong proves nothing."
        )
    return ""


def _untrained(control: Sequence[Training]) -> float | None:
    """What encoders are worth on the originals before their first step; None of classifiers."""
    encodings = [run.encoding for run in control if run.encoding is not None]
    return max((encoding.floor / encoding.tests for encoding in encodings), default=None)


def _no_better(lower: float, floor: float) -> str:
    """Why encoders prove nothing; empty where they do."""
    if lower >= floor + MARGIN - _ROUNDING:
        return ""
    return (
        f"The control learns too little to compare with: {at_least(lower)} for certain, where the "
        f"same encoder has {at_least(floor)} before its first step and {100 * MARGIN:g} points "
        "more are asked for. Train on more files, for more epochs, or test on more images."
    )


def _compared(upper: float, lower: float, nothing: str, chance: float) -> tuple[EffectVerdict, str]:
    """The verdict on a victim that learned its files, beside a control that learned its own.

    Args:
        upper: A of the `RULE`.
        lower: C.
        nothing: what g is the accuracy of.
        chance: g.
    """
    compared = f"at most {at_most(upper)}, where the control reaches {at_least(lower)} or more"
    if upper > lower - MARGIN + _ROUNDING:
        return "not-shown", (
            f"The victim reaches {compared}: less than {100 * MARGIN:g} points apart."
        )
    allowed = chance + REMAINING_SHARE * (lower - chance)
    if upper > allowed + _ROUNDING:
        return "weak", (
            f"The victim reaches {compared}; a protected cell would stay at {at_most(allowed)} or "
            "under."
        )
    return "protected", (
        f"The victim reaches {compared}: no more than a third of what can be learned beyond "
        f"{nothing}."
    )


def judge_all(cells: Sequence[EffectCell]) -> tuple[Whole, ...]:
    """Find the worst case of each coverage, the fullest coverage first.

    Args:
        cells: at least one.
    """
    coverages = sorted({cell.coverage for cell in cells}, reverse=True)
    return tuple(_whole([c for c in cells if c.coverage == coverage]) for coverage in coverages)


def _whole(cells: Sequence[EffectCell]) -> Whole:
    sure = [cell for cell in cells if cell.verdict != "inconclusive"]
    top = max(cells, key=lambda cell: cell.reached)
    if not sure:
        return Whole(top.coverage, "inconclusive", top, None)
    worst = max(sure, key=lambda cell: cell.reached)
    beyond = top if top.reached > worst.reached else None
    gravest = max(sure, key=lambda cell: (_GRAVITY[cell.verdict], cell.reached))
    if beyond is not None and gravest.verdict != "not-shown":
        return Whole(worst.coverage, "inconclusive", worst, beyond)
    because = gravest if gravest.verdict != worst.verdict else None
    return Whole(worst.coverage, gravest.verdict, worst, beyond, because)
