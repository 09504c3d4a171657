"""Section 3: what models learn from the files, as `ue certify` found it, or how to find out."""

from __future__ import annotations

from ue_cli.report.certification import Certification
from ue_cli.report.markup import Html, join, p, table, tag, to_do
from ue_cli.report.smoothed import smoothed
from ue_cli.report.verdicts import figures, verdict_figure, verdict_word
from ue_cli.report.words import count, percent
from ue_cli.types import RunsCertificate
from ue_cli.types.wording import at_least, at_most, confidence_words


def learnability(certification: Certification | None, command: str) -> Html:
    """3: the bounds, their control and what they do not cover.

    Args:
        certification: None where nothing was certified.
        command: the command line that certifies these files; may be empty.
    """
    if certification is None:
        return _missing(command)
    measured = certification.measured
    parts = [*_runs(certification)]
    for certificate, statements in zip(measured.smoothed, certification.statements, strict=True):
        parts.append(smoothed(certificate, statements, certification))
    if certification.not_covered:
        parts.append(tag("h3", "What the smoothed bounds do not cover"))
        parts.append(_list(certification.not_covered))
    return join(*parts, *_repeat(certification))


def promise(certification: Certification | None) -> str:
    """Say at the head of the report what is known about learning, and what is not."""
    if certification is None:
        return (
            "Whether a model fails to learn from these files was not measured in this run, and "
            "nothing here promises that it does."
        )
    runs, verdict = certification.measured.runs, certification.runs_verdict
    if runs is not None and verdict is not None:
        beside = ""
        if runs.control:
            worst = percent(min(runs.control) / runs.tests)
            beside = f", the worst of {len(runs.control)} on the originals {worst}"
        return (
            f"Of {count(runs.runs, 'independent training')} on these files the best reached "
            f"{percent(max(runs.protected) / runs.tests)} on clean test images{beside}. The "
            f"verdict: {verdict_word(verdict).lower()}; see Learnability. Nothing here promises "
            "that other trainings fail."
        )
    found = dict.fromkeys(verdict_word(one.verdict) for one in certification.measured.smoothed)
    verdicts = ", ".join(found).lower() or "none"
    return (
        "How much a model learns from these files was certified for weights near those of one "
        f"trained model only (see Learnability); the verdict: {verdicts}. "
        "Nothing here speaks about a model that is trained anew, or promises that it fails."
    )


def _missing(command: str) -> Html:
    parts = [
        p(
            "Not measured in this run. A bound on what a model can learn from these files takes "
            "surrogate models trained on them; this report gives none."
        )
    ]
    if command:
        parts += to_do(
            "This command trains them, beside a clean control, and completes this report:", command
        )
    return join(*parts)


def _runs(certification: Certification) -> list[Html]:
    """The training-run certificate: the sentence first, then its figures and every training."""
    runs, verdict = certification.measured.runs, certification.runs_verdict
    if runs is None or verdict is None:
        return [
            tag("h3", "Independent trainings"),
            p("None were made, so nothing below speaks about a model that is trained anew."),
        ]
    words = confidence_words(runs.confidence)
    share_of = f"in {100 * runs.q:g} % of such trainings, {words} confidence"
    lower = runs.control_lower
    return [
        tag("h3", "Independent trainings"),
        p(certification.runs_sentence, class_="lead"),
        figures(
            ("Protected, at most", at_most(runs.upper), share_of),
            (
                "Clean control, at least",
                "–" if lower is None else at_least(lower),
                "there was no control" if lower is None else share_of,
            ),
            verdict_figure(verdict, "protected against control"),
        ),
        p(certification.runs_reason),
        _trainings(runs),
        p(
            f"The number of trainings was fixed before the first. Accuracy is on "
            f"{count(runs.tests, 'clean test image')}; the best epoch is what somebody reaches who "
            "stops early with clean images at hand. Fit is the share of its own training files "
            "that a model gets right.",
            class_="note",
        ),
        tag("h4", "What this does not cover"),
        _list(certification.runs_not_covered),
    ]


def _list(lines: tuple[str, ...]) -> Html:
    return tag("ul", *(tag("li", line) for line in lines))


def _trainings(runs: RunsCertificate) -> Html:
    columns = ["Training", "Protected", "Best epoch", "Fit"]
    if runs.control:
        columns += ["Control", "Fit of control"]
    rows = []
    for i, correct in enumerate(runs.protected):
        row = [
            str(i + 1),
            percent(correct / runs.tests),
            percent(runs.protected_best[i] / runs.tests),
            percent(runs.protected_fit[i]),
        ]
        if i < len(runs.control):
            row += [percent(runs.control[i] / runs.tests), percent(runs.control_fit[i])]
        rows.append(tuple(row) + ("",) * (len(columns) - len(row)))
    return table(tuple(columns), rows, numeric=frozenset(range(1, len(columns))), narrow=True)


def _repeat(certification: Certification) -> list[Html]:
    """Everything that is needed to do it again and get the same."""
    measured = certification.measured
    facts: dict[str, str] = {
        "Made": certification.when,
        "Trained on": count(measured.train_files, "file"),
        "Tested on": f"{count(measured.test_files, 'image')}: {measured.test_source}",
        "Recipe": measured.recipe,
        "Device": f"{measured.device}, {measured.seconds:,.0f} s",
        "Code": certification.code_version,
        "Data, SHA-256": tag("code", measured.data_sha256),
    }
    if certification.output_sha256 is not None:
        facts["Published files, SHA-256"] = tag("code", certification.output_sha256)
    if certification.command:
        facts["Command"] = tag("code", certification.command)
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return [
        tag("h3", "To repeat it"),
        tag("dl", *pairs),
        p(
            "certificate.json beside this page holds the correct counts of every draw and every "
            "training: each bound can be computed again from them.",
            class_="note",
        ),
    ]
