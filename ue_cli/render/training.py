"""`ue certify` and `ue evaluate` as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ue_cli.output import printable
from ue_cli.render.rows import Lists, Rows, caution

if TYPE_CHECKING:
    from ue_cli.certification.certify import CertifyResult
    from ue_cli.evaluation.evaluate import EvaluateResult
    from ue_cli.types import LearnabilityCertificate


def certify_rows(result: CertifyResult) -> tuple[Rows, Lists]:
    """`ue certify`."""
    found = result.certification
    measured = found.measured
    rows = [
        ("Trained on", f"{measured.train_files:,} files, tested on {measured.test_files:,}"),
        ("Test images", measured.test_source),
    ]
    if measured.runs is not None:
        rows += [
            ("Trainings", _percentages(measured.runs.protected, measured.runs.tests)),
            ("Control", _percentages(measured.runs.control, measured.runs.tests)),
            ("Verdict", f"{found.runs_verdict}: {found.runs_reason}"),
        ]
    lists: Lists = []
    for one in measured.smoothed:
        title = (
            f"{one.protected.training.capitalize()} surrogate, {one.setting.scaling} noise "
            f"σ = {one.setting.sigma:g}: {one.verdict}"
        )
        lists.append((title, [one.reason, *_bounds(one), *_attacks(one)]))
    rows += [
        ("Keep private", printable(str(result.report))),
        ("Time", f"{measured.seconds:.0f} s"),
    ]
    cautions = [caution(one) for one in result.cautions]
    return rows, [*lists, ("Warnings", cautions)]


def evaluate_rows(result: EvaluateResult) -> tuple[Rows, Lists]:
    """`ue evaluate`, dry or not."""
    cautions = [caution(one) for one in result.cautions]
    found = result.evaluation
    if found is None:
        cells = [
            f"{victim}, {name}, {coverage} % protected" for victim, name, coverage in result.cells
        ]
        rows = [
            ("Would train", f"{result.left} of {result.trainings} trainings"),
            ("Estimate", f"{result.estimate:.0f} s"),
        ]
        return rows, [("Cells", cells), ("Warnings", cautions)]
    measured, tests = found.measured, found.measured.tests
    rows = [("Trained on", f"{measured.train_files:,} files, tested on {tests:,}")]
    for headline in found.headlines:
        rows.append((f"{headline.coverage} % protected", headline.sentence))
    if (seen := measured.detectability) is not None:
        told = f"a linear classifier tells protected files in {100 * seen.detected.accuracy:.1f} %"
        rows.append(("Noticed", f"{told}; guessing, {100 * seen.detected.chance:.1f} %"))
    lines = []
    for cell in measured.cells:
        control = _percentages([one.last for one in cell.control], tests)
        if cell.alone:
            control += f", clean files alone {_percentages([a.last for a in cell.alone], tests)}"
        if untrained := [one.encoding.floor for one in cell.control if one.encoding]:
            control += f", untrained {_percentages(untrained, tests)}"
        lines.append(
            f"{cell.victim}, {cell.countermeasure}, {cell.coverage} %: "
            f"{_percentages([one.last for one in cell.protected], tests)}, best epoch "
            f"{_percentages([one.best for one in cell.protected], tests)}; control {control}; "
            f"{cell.verdict.replace('-', ' ')}"
        )
    rows += [
        ("Keep private", printable(str(result.report))),
        ("Time", f"{measured.seconds:.0f} s"),
    ]
    return rows, [("Cells", lines), ("Rule", [found.rule]), ("Warnings", cautions)]


def _percentages(correct: Sequence[int], tests: int) -> str:
    if not correct:
        return "none: without the originals there is nothing to compare with"
    return ", ".join(f"{100 * count / tests:.1f}" for count in sorted(correct)) + " %"


def _bounds(one: LearnabilityCertificate) -> list[str]:
    """A table of η against both bounds, abstentions in one line."""
    beside = {b.eta: b.upper for b in one.control.bounds} if one.control is not None else {}
    lines = []
    for bound in one.protected.bounds:
        if bound.upper is None:
            lines.append(
                f"η > {one.max_eta:.3g}: abstains, {one.setting.draws:,} draws are too few"
            )
            break
        control = beside.get(bound.eta)
        other = "" if control is None else f", control {100 * control:.1f} %"
        lines.append(f"η = {bound.eta:<8g} at most {100 * bound.upper:.1f} %{other}")
    return lines


def _attacks(one: LearnabilityCertificate) -> list[str]:
    """The recovery attack, one line for each radius."""
    points = () if one.recovery is None else one.recovery.points
    return [
        f"Recovery attack within η = {point.eta:<8g} {100 * point.accuracy:.1f} %"
        + ("" if point.bound is None else f", bound {100 * point.bound:.1f} %")
        for point in points
    ]
