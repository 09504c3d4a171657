"""`ue certify` and `ue evaluate` as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ue_cli.output import printable
from ue_cli.render.rows import Lists, Rows, warnings

if TYPE_CHECKING:
    from ue_cli.certification.certify import CertifyResult
    from ue_cli.evaluation.evaluate import EvaluateResult
    from ue_cli.types import LearnabilityCertificate


def certify_rows(result: CertifyResult) -> tuple[Rows, Lists]:
    """`ue certify`."""
    certification = result.certification
    measured = certification.measured
    rows = [
        ("Trained on", f"{measured.train_files:,} files, tested on {measured.test_files:,}"),
        ("Test images", measured.test_source),
    ]
    if measured.runs is not None:
        rows += [
            ("Trainings", _percentages(measured.runs.protected, measured.runs.tests)),
            ("Control", _percentages(measured.runs.control, measured.runs.tests)),
            ("Verdict", f"{certification.runs_verdict}: {certification.runs_reason}"),
        ]
    lists: Lists = []
    for certificate in measured.smoothed:
        setting = certificate.setting
        title = (
            f"{certificate.protected.training.capitalize()} surrogate, "
            f"{setting.scaling} noise σ = {setting.sigma:g}: {certificate.verdict}"
        )
        lists.append((title, [certificate.reason, *_bounds(certificate), *_attacks(certificate)]))
    rows += [
        ("Keep private", printable(str(result.report))),
        ("Time", f"{measured.seconds:.0f} s"),
    ]
    return rows, [*lists, warnings(result.cautions)]


def evaluate_rows(result: EvaluateResult) -> tuple[Rows, Lists]:
    """`ue evaluate`, dry or not."""
    evaluation = result.evaluation
    if evaluation is None:
        cells = [
            f"{victim}, {name}, {coverage} % protected" for victim, name, coverage in result.cells
        ]
        rows = [
            ("Would train", f"{result.left} of {result.trainings} trainings"),
            ("Estimate", f"{result.estimate:.0f} s"),
        ]
        return rows, [("Cells", cells), warnings(result.cautions)]
    measured, tests = evaluation.measured, evaluation.measured.tests
    rows = [("Trained on", f"{measured.train_files:,} files, tested on {tests:,}")]
    for headline in evaluation.headlines:
        rows.append((f"{headline.coverage} % protected", headline.sentence))
    if measured.detectability is not None:
        detected = measured.detectability.detected
        noticed = f"a linear classifier tells protected files in {100 * detected.accuracy:.1f} %"
        rows.append(("Noticed", f"{noticed}; guessing, {100 * detected.chance:.1f} %"))
    lines = []
    for cell in measured.cells:
        control = _percentages([training.last for training in cell.control], tests)
        if cell.alone:
            alone = _percentages([training.last for training in cell.alone], tests)
            control += f", clean files alone {alone}"
        if untrained := [training.encoding.floor for training in cell.control if training.encoding]:
            control += f", untrained {_percentages(untrained, tests)}"
        last = _percentages([training.last for training in cell.protected], tests)
        best = _percentages([training.best for training in cell.protected], tests)
        lines.append(
            f"{cell.victim}, {cell.countermeasure}, {cell.coverage} %: {last}, best epoch {best}; "
            f"control {control}; {cell.verdict.replace('-', ' ')}"
        )
    rows += [
        ("Keep private", printable(str(result.report))),
        ("Time", f"{measured.seconds:.0f} s"),
    ]
    return rows, [("Cells", lines), ("Rule", [evaluation.rule]), warnings(result.cautions)]


def _percentages(correct: Sequence[int], tests: int) -> str:
    if not correct:
        return "none: without the originals there is nothing to compare with"
    return ", ".join(f"{100 * count / tests:.1f}" for count in sorted(correct)) + " %"


def _bounds(certificate: LearnabilityCertificate) -> list[str]:
    """A table of η against both bounds, abstentions in one line."""
    control_bounds = () if certificate.control is None else certificate.control.bounds
    control_uppers = {bound.eta: bound.upper for bound in control_bounds}
    lines = []
    for bound in certificate.protected.bounds:
        if bound.upper is None:
            lines.append(
                f"η > {certificate.max_eta:.3g}: abstains, "
                f"{certificate.setting.draws:,} draws are too few"
            )
            break
        control = control_uppers.get(bound.eta)
        other = "" if control is None else f", control {100 * control:.1f} %"
        lines.append(f"η = {bound.eta:<8g} at most {100 * bound.upper:.1f} %{other}")
    return lines


def _attacks(certificate: LearnabilityCertificate) -> list[str]:
    """The recovery attack, one line for each radius."""
    points = () if certificate.recovery is None else certificate.recovery.points
    return [
        f"Recovery attack within η = {point.eta:<8g} {100 * point.accuracy:.1f} %"
        + ("" if point.bound is None else f", bound {100 * point.bound:.1f} %")
        for point in points
    ]
