"""One smoothing certificate (Wang et al., NDSS 2025) of the report's third section."""

from __future__ import annotations

from ue_cli.report.certification import Certification, Statements
from ue_cli.report.curve import UNITS, curve
from ue_cli.report.markup import Html, join, p, table, tag
from ue_cli.report.verdicts import Figure, figures, verdict_figure
from ue_cli.report.words import percent
from ue_cli.types import EtaBound, LearnabilityCertificate, SurrogateCertificate
from ue_cli.types.wording import at_least, at_most

ABSTAINS = "abstains"
_KINDS = (
    ("bounds", "Each η by itself"),
    ("simultaneous", "All η at once"),
    ("population", "Unseen images"),
)
_TRAININGS = {
    "plain": "plainly trained surrogate",
    "robust": "surrogate trained under weight noise",
}


def smoothed(
    certificate: LearnabilityCertificate, statements: Statements, certification: Certification
) -> Html:
    """Say what one pair of surrogates certifies: verdict, curve, table, statements, setting."""
    protected, control = certificate.protected, certificate.control
    training = _TRAININGS.get(protected.training, f"surrogate, {protected.training} training")
    said = (statements.each, statements.simultaneous, statements.population)
    return join(
        tag("h3", f"Smoothed weights: {training}, noise {UNITS[certificate.setting.scaling]}"),
        figures(
            _upper(protected),
            _lower(control),
            verdict_figure(certificate.verdict, "protected against control"),
        ),
        p(certificate.reason),
        curve(certificate, certification.chance),
        _bounds(certificate),
        *_recovery(certificate),
        *(
            p(tag("strong", f"{name}. "), sentence)
            for (_, name), sentence in zip(_KINDS, said, strict=True)
        ),
        tag("h4", "The surrogates"),
        _surrogates(certificate, certification),
        p(_distance(certificate)),
        _setting(certificate),
    )


def _upper(protected: SurrogateCertificate) -> Figure:
    name = "Protected, at most"
    first = next((b for b in protected.bounds if b.upper is not None), None)
    if first is None or first.upper is None:
        return (name, ABSTAINS, "at every η")
    return (name, at_most(first.upper), f"at η = {first.eta:.3g}")


def _lower(control: SurrogateCertificate | None) -> Figure:
    name = "Clean control, at least"
    if control is None:
        return (name, "–", "there was no control")
    if control.lower is None:
        return (name, ABSTAINS, "at no shift")
    return (name, at_least(control.lower), "at no shift")


def _bounds(certificate: LearnabilityCertificate) -> Html:
    """η against the upper bounds of all three statements; a tail of abstentions is one row."""
    arms = [arm for arm in (certificate.protected, certificate.control) if arm is not None]
    columns: list[dict[float, float | None]] = [
        {b.eta: b.upper for b in _of(arm, kind)} for kind, _ in _KINDS for arm in arms
    ]
    grid = sorted({eta for column in columns for eta in column})
    tail = len(grid)
    while tail and all(column.get(grid[tail - 1]) is None for column in columns):
        tail -= 1
    if len(grid) - tail < 2:
        tail = len(grid)
    rows = [(f"{eta:.3g}", *(_cell(c.get(eta)) for c in columns)) for eta in grid[:tail]]
    if rest := grid[tail:]:
        rows.append((f"{rest[0]:.3g} to {rest[-1]:.3g}", *(_cell(None) for _ in columns)))
    heads = ("Protected", "Control")[: len(arms)]
    return table(
        ("η", *(head for _ in _KINDS for head in heads)),
        rows,
        numeric=frozenset(range(1, 1 + len(columns))),
        groups=(("", 1), *((name, len(arms)) for _, name in _KINDS)),
        narrow=True,
    )


def _recovery(certificate: LearnabilityCertificate) -> tuple[Html, ...]:
    """What an attacker reaches who changes the weights by at most η, beside the bound."""
    heading = tag("h4", "Recovery attack")
    check = certificate.recovery
    if check is None:
        return heading, p("Not run: it takes clean images besides those that test.")
    rows = [
        (
            f"{point.eta:.3g}",
            percent(point.accuracy),
            "beyond what is certified" if point.bound is None else at_most(point.bound),
        )
        for point in check.points
    ]
    above = [one for one in check.points if one.bound is not None and one.accuracy > one.bound]
    note = (
        f"The surrogate of the protected files was fine-tuned on {check.images:,} originals for "
        f"{check.epochs} epochs, its weights kept within η of where they were. The bound is on a "
        f"{100 * certificate.setting.q:g} % share of the networks that noise makes, so a single "
        "attacked network may lie above it"
    )
    said = f"{note}; {len(above)} of these do." if above else f"{note}; none of these does."
    return (
        heading,
        table(("η", "Attack reaches", "Bound"), rows, numeric=frozenset({0, 1, 2})),
        p(said, class_="note"),
    )


def _of(arm: SurrogateCertificate, kind: str) -> tuple[EtaBound, ...]:
    bounds: tuple[EtaBound, ...] = getattr(arm, kind)
    return bounds


def _cell(upper: float | None) -> Html:
    return tag("span", ABSTAINS, class_="abstains") if upper is None else join(at_most(upper))


def _surrogates(certificate: LearnabilityCertificate, certification: Certification) -> Html:
    protected, control = certificate.protected, certificate.control
    arms = [arm for arm in (protected, control) if arm is not None]

    def accuracy(arm: SurrogateCertificate) -> Html:
        low, high = certification.intervals[arm.sha256]
        between = f"{percent(low)} to {percent(high)}"
        return join(percent(arm.accuracy), tag("small", between))

    def name(what: str, meaning: str) -> Html:
        return join(what, tag("small", meaning))

    interval = (
        f"with its Clopper–Pearson interval, confidence {certification.interval_confidence:g}"
    )
    rows: list[list[str]] = [
        [name("A(θ̂)", f"its own accuracy on the test images, {interval}"), *map(accuracy, arms)],
        [
            name("Fit", "share of its own training files that it gets right"),
            *(percent(arm.fit) for arm in arms),
        ],
        [
            name("Weight norm", "L2, of all weights that noise is added to"),
            *(f"{arm.weight_norm:.4g}" for arm in arms),
        ],
    ]
    columns = ["Surrogate", "Protected"]
    if control is not None:
        columns += ["Control", "Control − protected"]
        rows[0].append(_points(control.accuracy - protected.accuracy))
        rows[1].append(_points(control.fit - protected.fit))
        rows[2].append(_signed(f"{control.weight_norm - protected.weight_norm:+.3g}"))
    return table(
        tuple(columns),
        [tuple(row) for row in rows],
        numeric=frozenset(range(1, len(columns))),
    )


def _points(difference: float) -> str:
    return _signed(f"{100 * difference:+.1f} points")


def _signed(number: str) -> str:
    return number.replace("-", "−", 1)


def _distance(certificate: LearnabilityCertificate) -> str:
    """Set the ball beside what a second training does to the weights."""
    distance, largest = certificate.training_distance, certificate.max_eta
    if distance is None:
        return (
            "How far two independent trainings end from each other was not measured; expect it to "
            "be far beyond any certified η."
        )
    lead = (
        f"Two independent trainings on the protected files end {distance:.3g} apart, in the units "
        f"of η; the largest η that can be certified here is {largest:.3g}. "
    )
    if distance > largest:
        return lead + (
            "So a model that is trained anew does not lie in the certified ball: this bound is "
            "about small changes to one model, such as brief fine-tuning."
        )
    return lead + "So another training of this kind can end inside the certified ball."


def _setting(certificate: LearnabilityCertificate) -> Html:
    setting, control = certificate.setting, certificate.control
    facts: dict[str, str] = {
        "Noise": f"σ = {setting.sigma:g}, {UNITS[setting.scaling]}",
        "How σ was chosen": certificate.sigma_rule,
        "Draws": f"N = {setting.draws:,}",
        "Quantile": f"q = {setting.q:g}",
        "Confidence": f"{setting.confidence:g} for each statement",
        "Largest certifiable η": f"{certificate.max_eta:.3g}, with this N, q, σ and confidence",
        "BatchNorm": "Running statistics of the unperturbed surrogate, in evaluation mode, as in "
        "the paper (Wang et al., NDSS 2025).",
        "Protected surrogate, SHA-256": tag("code", certificate.protected.sha256),
    }
    if control is not None:
        facts["Control surrogate, SHA-256"] = tag("code", control.sha256)
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return tag("details", tag("summary", "Setting and hashes"), tag("dl", *pairs))
