"""Section 4: what trainers got out of the files, as `ue evaluate` found it."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.report.effectchart import bars, epochs
from ue_cli.report.effectrecord import PROBES, Evaluation
from ue_cli.report.effecttables import Named, alone, encoders, reached, several
from ue_cli.report.markup import Html, join, p, table, tag, to_do
from ue_cli.report.verdicts import VERDICTS, figures
from ue_cli.report.words import count, percent
from ue_cli.types import EffectCell, Separability
from ue_cli.types.wording import at_least, at_most


def victims(evaluation: Evaluation | None, command: str) -> Html:
    """Tell an evaluation, or how to make one.

    Args:
        evaluation: None where no victim was trained on these files.
        command: the command line that trains victims on them; may be empty.
    """
    if evaluation is None:
        return _missing(command)
    measured = evaluation.measured
    tests = measured.tests
    named = [(_name(cell, measured.cells), cell) for cell in measured.cells]
    worst = evaluation.worst(evaluation.headline)
    return join(
        *(p(headline.sentence, class_="lead") for headline in evaluation.headlines),
        _figures(worst, evaluation),
        p(worst.reason),
        tag("h3", "Every countermeasure"),
        *_every(evaluation),
        p(
            "Shares are of clean test images that are classified correctly. A solid bar is the "
            "last epoch, a pale one the best epoch of the best training: what somebody reaches who "
            "stops early with clean images at hand. Hollow bars are inconclusive. Thin lines are "
            "the Clopper–Pearson intervals of the two values that a verdict compares. Fit is the "
            "share of its own augmented training files that a network gets right. "
            + several(measured.cells),
            class_="note",
        ),
        *encoders(named),
        *alone(named, tests),
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


def _missing(command: str) -> Html:
    parts = [
        p(
            "Not measured on these files in this run: no victim was trained on them under any "
            "countermeasure, so this report does not say how well your own photos are protected."
        )
    ]
    if command:
        parts += to_do(
            "This command trains victims on them, with and without countermeasures, beside clean "
            "controls, and completes this report:",
            command,
        )
    return join(*parts)


def effect_promise(evaluation: Evaluation | None) -> str:
    """Say at the head of the report what an adversary was seen to get; empty where nobody tried."""
    return "" if evaluation is None else f" {evaluation.headline.sentence}"


def _name(cell: EffectCell, cells: Sequence[EffectCell]) -> str:
    """A cell by what tells it apart from the others."""
    parts = [cell.countermeasure]
    if len({one.victim for one in cells}) > 1:
        parts.append(cell.victim)
    if len({one.coverage for one in cells}) > 1:
        parts.append(f"{cell.coverage} % protected")
    return ", ".join(parts)


def _every(evaluation: Evaluation) -> list[Html]:
    """A chart and a table for each coverage."""
    measured = evaluation.measured
    parts = []
    for headline in evaluation.headlines:
        cells = [cell for cell in measured.cells if cell.coverage == headline.coverage]
        named = [(_name(cell, cells), cell) for cell in cells]
        if len(evaluation.headlines) > 1:
            parts.append(tag("h4", f"{headline.coverage} % of the files protected"))
        parts += [bars(named, measured.tests, measured.chance), reached(named, measured.tests)]
    return parts


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


def _lines(named: Named, worst: EffectCell, tests: int, chance: float) -> list[Html]:
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


def _reasons(named: Named) -> Html:
    rows = [(name, VERDICTS[cell.verdict], cell.reason) for name, cell in named]
    return table(("Trainer", "Verdict", "Why"), rows)


def _recipes(named: Named) -> Html:
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
