"""Results as rows and lists for people; the JSON is the results' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ue_cli.output import printable

if TYPE_CHECKING:
    from ue_cli.perturbation.cards import Measurement
    from ue_cli.pipeline.certify import CertifyResult
    from ue_cli.pipeline.evaluation.evaluate import EvaluateResult
    from ue_cli.pipeline.fetch import FetchResult, Listed
    from ue_cli.pipeline.keys import KeyReport
    from ue_cli.pipeline.results import Problem, ProtectResult, RestoreResult, VerifyResult
    from ue_cli.report import Caution
    from ue_cli.types import LearnabilityCertificate, Skipped

SHOWN = 20
ROUTES = {
    "jpeg-coefficients": "JPEG, in its own coefficients",
    "lossless": "encoded losslessly",
    "jpeg-reencoded": "compressed anew as JPEG",
}
SOURCES = {
    "path": "from the path given",
    "bundle": "bundled",
    "cache": "from the local Hub cache",
    "hub": "downloaded from the Hub",
}

Rows = list[tuple[str, str]]
Lists = list[tuple[str, list[str]]]


def protect_rows(result: ProtectResult) -> tuple[Rows, Lists]:
    """`ue protect`, dry or not."""
    labels = f"{len(result.classes)} ({_some(result.classes)}), by {result.label_rule}"
    skipped = _listed("Skipped", [f"{s.name}: {s.reason}" for s in result.skipped])
    if result.dry_run or result.budget is None:
        rows = [
            ("Would protect", f"up to {result.found} files, ε = {result.levels}/255"),
            ("Into", printable(str(result.out))),
            ("Classes", labels),
            *_public(result),
        ]
        return rows, skipped
    budget = result.budget
    verdict = "kept" if budget.passed else "EXCEEDED"
    routes = ", ".join(f"{n} {ROUTES.get(name, name)}" for name, n in result.routes.items())
    rows = [
        ("Protected", _protected(result)),
        ("Budget", f"{verdict}: largest difference {budget.linf:g} of {budget.limit} levels"),
        ("Mean |δ|", f"{budget.mean_abs:.2f} of {budget.limit} levels"),
        ("Written", routes),
        ("Classes", labels),
        *_public(result),
        ("Publish", printable(str(result.out))),
        ("Keep private", printable(str(result.report)) + " (open report.html)"),
        ("Time", f"{result.seconds:.1f} s"),
    ]
    if (after := result.aftercare) is not None:
        rows.append(("Certificate", after.outcome))
        if after.command and not after.certified:
            rows.append(("To certify", printable(after.command)))
    return rows, [*skipped, ("Warnings", [_caution(c) for c in result.cautions])]


def verify_rows(result: VerifyResult) -> tuple[Rows, Lists]:
    """`ue verify`."""
    verdict = f"FAILED, {len(result.problems)} problems" if result.problems else "verified"
    rows = [
        ("Result", verdict),
        ("Files", f"{result.listed} listed, {result.measured} compared with their originals"),
        ("Budget", f"largest difference {result.linf:g} of {result.levels} levels"),
        ("Mean |δ|", f"{result.mean_abs:.2f} levels"),
    ]
    return rows, _problems(result.problems)


def restore_rows(result: RestoreResult) -> tuple[Rows, Lists]:
    """`ue restore`."""
    rows = [
        ("Restored", f"{result.restored} files"),
        ("Into", printable(str(result.target))),
    ]
    return rows, _problems(result.problems)


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
    cautions = [_caution(caution) for caution in result.cautions]
    return rows, [*lists, ("Warnings", cautions)]


def evaluate_rows(result: EvaluateResult) -> tuple[Rows, Lists]:
    """`ue evaluate`, dry or not."""
    cautions = [_caution(caution) for caution in result.cautions]
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


def fetch_rows(result: FetchResult) -> tuple[Rows, Lists]:
    """`ue fetch-perturbations`, a list or what was fetched."""
    found = result.perturbations
    if not result.fetched:
        rows = [(one.name, f"{_bank_words(one)}; {_worst_effects(one)}") for one in found]
        return rows, [("Get one", ["ue fetch-perturbations NAME, or hf://OWNER/REPO/FILE"])]
    rows = [("Found", ", ".join(printable(one.name) for one in found))]
    if len(found) > 1:
        rows.append(("Order", result.rule))
    return rows, [(printable(one.name), _fetched(one)) for one in found]


def _fetched(one: Listed) -> list[str]:
    """Everything about one perturbation, its card last."""
    lines = [str(one.path), _bank_words(one)]
    if one.address is not None:
        lines.append(one.address)
    card = one.card
    checked = "" if card is None else ", as its card says"
    lines += [f"SHA-256 {one.sha256}{checked}", *_effects(one)]
    if card is not None:
        lines += [f"Made by {card.created_by}, seed {card.seed}; data: {card.data}", *card.limits]
        lines.append(f"Licence: {card.licence}")
    return [printable(line) for line in lines]


def _bank_words(one: Listed) -> str:
    size = f"{one.bytes / 1000:,.1f} kB, {SOURCES[one.source]}"
    if one.method is None:
        return f"a published array of {'×'.join(map(str, one.shape))}, {size}"
    classes, per_class, _, height, width = one.shape
    kind = "one pattern each" if per_class == 1 else f"{per_class} patterns each"
    return (
        f"{one.method}, {classes:,} classes, {kind} of {height}×{width} cells, "
        f"ε = {one.levels}/255, {size}"
    )


def _effects(one: Listed) -> list[str]:
    """What was measured, a line each."""
    if one.card is None:
        return ["no card: nothing is known of its effect"]
    return [
        f"on {m.files} of {m.data}: {_accuracies(m)}; {m.victim}, {m.date}"
        for m in one.card.measured
    ] or ["effect not measured"]


def _worst_effects(one: Listed) -> str:
    """The worst measurement on each data set."""
    if one.card is None or not one.card.measured:
        return _effects(one)[0]
    worst: dict[str, Measurement] = {}
    for found in sorted(one.card.measured, key=lambda m: m.drop, reverse=True):
        worst[found.data] = found
    return "; ".join(f"{data}: {_accuracies(m)}" for data, m in sorted(worst.items()))


def _accuracies(m: Measurement) -> str:
    return (
        f"{100 * m.last:.1f} % (best epoch {100 * m.best:.1f}), clean control "
        f"{100 * m.control_last:.1f} % ({100 * m.control_best:.1f})"
    )


def key_rows(report: KeyReport) -> tuple[Rows, Lists]:
    """`ue key …`."""
    rows = [(name, printable(value)) for name, value in report.facts]
    return rows, [("Collections", [printable(line) for line in report.collections])]


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


def _public(result: ProtectResult) -> Rows:
    """The public perturbation, with its effect where its card says one."""
    if (public := result.public) is None:
        return []
    rows = [("Perturbation", printable(f"{public.card or public.name}, public"))]
    if public.measured is not None:
        for files, clean, protected, *_ in public.measured.rows:
            told = f"{protected} on {files}, {clean} without it; measured on those, not on yours"
            rows.append(("Its card says", printable(told)))
    elif public.card is not None:
        rows.append(("Its card says", "nobody has measured what it does"))
    return rows


def _protected(result: ProtectResult) -> str:
    kept = f", {result.kept} finished earlier" if result.kept else ""
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    return f"{result.fresh} files{kept}{skipped}"


def _caution(caution: Caution) -> str:
    return printable(f"{caution.text} {caution.remedy}")


def _problems(problems: Sequence[Problem]) -> Lists:
    return _listed("Problems", [f"{p.name}: {p.text}" for p in problems])


def _listed(title: str, lines: Sequence[str | Skipped]) -> Lists:
    shown = [printable(str(line)) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"… and {len(lines) - SHOWN} more; --json and the report list all.")
    return [(title, shown)]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:6])
    return shown + (", …" if len(names) > 6 else "")
