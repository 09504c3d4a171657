"""Section 4: what trainers got out of the files, as `ue evaluate` found it."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.report.effectchart import bars, epochs
from ue_cli.report.effectrecord import PROBES, Evaluation
from ue_cli.report.markup import Html, join, p, table, tag
from ue_cli.report.verdicts import figures
from ue_cli.report.words import count, percent
from ue_cli.types import EffectCell, EffectVerdict, Separability
from ue_cli.types.wording import at_least, at_most

VERDICTS: dict[EffectVerdict, str] = {
    "protected": "Protected",
    "weak": "Weak",
    "not-shown": "Not shown",
    "inconclusive": "Inconclusive",
}


def victims(evaluation: Evaluation | None) -> Html:
    """Tell an evaluation, or that there is none.

    Args:
        evaluation: None where no victim was trained on these files.
    """
    if evaluation is None:
        return p(
            "Not measured on these files in this run: no victim was trained on them under any "
            "countermeasure, so this report does not say how well your own photos are protected. "
            "ue evaluate measures it."
        )
    measured = evaluation.measured
    tests = measured.tests
    named = [(_name(cell, evaluation), cell) for cell in measured.cells]
    worst = evaluation.worst(evaluation.headline)
    return join(
        *(p(headline.sentence, class_="lead") for headline in evaluation.headlines),
        _figures(worst, evaluation),
        p(worst.reason),
        tag("h3", "Every countermeasure"),
        bars(named, tests, measured.chance),
        _cells(named, tests),
        p(
            "Best epoch is what somebody reaches who stops early with clean images at hand. Fit is "
            "the share of its own augmented training files that a network gets right. "
            + _several(measured.cells),
            class_="note",
        ),
        *_alone(named, tests),
        *_lines(named, worst, tests, measured.chance),
        *_detectability(evaluation),
        tag("h3", "How a verdict is reached"),
        p(evaluation.rule),
        _details("Why each verdict is what it is", _reasons(named)),
        _details("What each trainer did", _recipes(named)),
        tag("h3", "What this does not cover"),
        tag("ul", *(tag("li", line) for line in _limits(evaluation))),
        *_repeat(evaluation),
    )


def effect_promise(evaluation: Evaluation | None) -> str:
    """Say at the head of the report what an adversary was seen to get; empty where nobody tried."""
    return "" if evaluation is None else f" {evaluation.headline.sentence}"


def _name(cell: EffectCell, evaluation: Evaluation) -> str:
    """A cell by what tells it apart from the others."""
    cells = evaluation.measured.cells
    parts = [cell.countermeasure]
    if len({one.victim for one in cells}) > 1:
        parts.append(cell.victim)
    if len({one.coverage for one in cells}) > 1:
        parts.append(f"{cell.coverage} % protected")
    return ", ".join(parts)


def _figures(worst: EffectCell, evaluation: Evaluation) -> Html:
    tests = evaluation.measured.tests
    control = worst.control_reached
    return figures(
        (
            "Worst case",
            percent(worst.reached / tests),
            f"{worst.countermeasure}, best epoch; at most {at_most(worst.upper)}",
        ),
        (
            "Clean control",
            "–" if control is None else percent(control / tests),
            "there was no control"
            if worst.lower is None
            else f"last epoch; at least {at_least(worst.lower)}",
        ),
        ("Verdict", VERDICTS[evaluation.headline.verdict], "over all countermeasures"),
    )


def _cells(named: Sequence[tuple[str, EffectCell]], tests: int) -> Html:
    def line(name: str, cell: EffectCell) -> tuple[str, ...]:
        control = cell.control
        return (
            name,
            _all([one.last / tests for one in cell.protected]),
            _all([one.best / tests for one in cell.protected]),
            _all([one.fit for one in cell.protected]),
            _all([one.last / tests for one in control]),
            _all([one.best / tests for one in control]),
            _all([one.fit for one in control]),
            VERDICTS[cell.verdict],
        )

    return table(
        ("Trainer", "Last", "Best", "Fit", "Last", "Best", "Fit", "Verdict"),
        [line(name, cell) for name, cell in named],
        numeric=frozenset(range(1, 7)),
        groups=(("", 1), ("Protected", 3), ("Control", 3), ("", 1)),
        narrow=True,
    )


def _all(shares: Sequence[float]) -> str:
    """One number per seed."""
    return ", ".join(percent(one) for one in shares) or "–"


def _several(cells: Sequence[EffectCell]) -> str:
    seeds = max(len(cell.protected) for cell in cells)
    if seeds == 1:
        return "One training of each kind: another seed may end elsewhere."
    return (
        f"{seeds} trainings of each kind, one number each. They share the test images, so they are "
        "not pooled: each has an interval of its own, and a verdict takes the best training on the "
        "protected files and the worst control."
    )


def _alone(named: Sequence[tuple[str, EffectCell]], tests: int) -> list[Html]:
    """What the unprotected files teach by themselves."""
    rows = [
        (
            name,
            _all([one.last / tests for one in cell.protected]),
            _all([one.last / tests for one in cell.alone]),
            _all([one.last / tests for one in cell.control]),
        )
        for name, cell in named
        if cell.alone
    ]
    if not rows:
        return []
    return [
        tag("h3", "Where only a part is protected"),
        p(
            "What is reached beyond the unprotected files alone is what the protected ones still "
            "teach; the rest would be learned without them. Last epoch."
        ),
        table(
            ("Trainer", "All files", "Unprotected alone", "All originals"),
            rows,
            numeric=frozenset({1, 2, 3}),
            narrow=True,
        ),
    ]


def _lines(
    named: Sequence[tuple[str, EffectCell]], worst: EffectCell, tests: int, chance: float
) -> list[Html]:
    """Accuracy over the epochs: the worst case in sight, the others a click away."""
    first: list[Html] = []
    others: list[Html] = []
    for name, cell in named:
        figure = epochs(cell, tests, chance)
        if figure and cell is worst:
            first = [tag("h3", f"Over the epochs: {name}"), figure]
        elif figure:
            others += [tag("h4", name), figure]
    if others:
        first.append(_details("The other trainers over the epochs", join(*others)))
    return first


_QUESTIONS = {
    "detected": ("Is this file protected?", "asked of protected files and originals"),
    "perturbation": ("Which class is it?", "from the perturbation’s pixels, original at hand"),
    "perturbation_spectrum": ("Which class is it?", "from the perturbation’s spectrum"),
    "published": ("Which class is it?", "from a protected file’s fine detail alone"),
    "original": ("Which class is it?", "from an original’s fine detail, to compare with"),
}


def _detectability(evaluation: Evaluation) -> list[Html]:
    """What a linear classifier sees: where to look for the perturbation, and how to sort it out."""
    found = evaluation.measured.detectability
    if found is None:
        return []
    rows = []
    for name in PROBES:
        question, of = _QUESTIONS[name]
        answer: Separability = getattr(found, name)
        low, high = evaluation.intervals[name]
        rows.append(
            (
                join(question, tag("small", of)),
                join(percent(answer.accuracy), tag("small", f"{percent(low)} to {percent(high)}")),
                percent(answer.chance),
            )
        )
    return [
        tag("h3", "How easily it is noticed"),
        p(
            "Linear classifiers, fitted on half of the files and asked about the others. An "
            "adversary who can tell protected files apart can leave them out, or treat them."
        ),
        table(("Question", "Right", "Guessing"), rows, numeric=frozenset({1, 2})),
        p(f"{count(found.photos, 'file')}, at {found.side} pixels.", class_="note"),
    ]


def _reasons(named: Sequence[tuple[str, EffectCell]]) -> Html:
    rows = [(name, VERDICTS[cell.verdict], cell.reason) for name, cell in named]
    return table(("Trainer", "Verdict", "Why"), rows)


def _recipes(named: Sequence[tuple[str, EffectCell]]) -> Html:
    return table(("Trainer", "Recipe"), [(name, cell.recipe) for name, cell in named])


def _limits(evaluation: Evaluation) -> Sequence[str]:
    if not evaluation.left_out:
        return evaluation.not_covered
    left = f"Not tried, because it needs what was not here: {', '.join(evaluation.left_out)}."
    return (left, *evaluation.not_covered)


def _repeat(evaluation: Evaluation) -> list[Html]:
    """Everything that is needed to do it again and get the same."""
    measured = evaluation.measured
    facts: dict[str, str] = {
        "Made": evaluation.when,
        "Trained on": count(measured.train_files, "file"),
        "Tested on": f"{count(measured.tests, 'image')}: {measured.test_source}",
        "Intervals": f"Clopper–Pearson, confidence {measured.confidence:g}, each by itself",
        "Device": f"{measured.device}, {measured.seconds:,.0f} s",
        "Code": evaluation.code_version,
        "Data, SHA-256": tag("code", measured.data_sha256),
    }
    if evaluation.output_sha256 is not None:
        facts["Published files, SHA-256"] = tag("code", evaluation.output_sha256)
    if evaluation.command:
        facts["Command"] = tag("code", evaluation.command)
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return [
        tag("h3", "To repeat it"),
        tag("dl", *pairs),
        p("evaluation.json beside this page holds every epoch of every training.", class_="note"),
    ]


def _details(summary: str, *children: str) -> Html:
    return tag("details", tag("summary", summary), *children)
