"""`ue fetch-perturbations` as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ue_cli.output import printable
from ue_cli.render.rows import Lists, Rows

if TYPE_CHECKING:
    from ue_cli.banks.cards import Measurement
    from ue_cli.banks.fetch import FetchResult, Listed

SOURCES = {
    "path": "from the path given",
    "bundle": "bundled",
    "cache": "from the local Hub cache",
    "hub": "downloaded from the Hub",
}


def fetch_rows(result: FetchResult) -> tuple[Rows, Lists]:
    """`ue fetch-perturbations`, a list or what was fetched."""
    perturbations = result.perturbations
    if not result.fetched:
        rows = [
            (perturbation.name, f"{_bank_words(perturbation)}; {_worst_effects(perturbation)}")
            for perturbation in perturbations
        ]
        return rows, [("Get one", ["ue fetch-perturbations NAME, or hf://OWNER/REPO/FILE"])]
    rows = [("Found", ", ".join(printable(perturbation.name) for perturbation in perturbations))]
    if len(perturbations) > 1:
        rows.append(("Order", result.rule))
    return rows, [
        (printable(perturbation.name), _fetched(perturbation)) for perturbation in perturbations
    ]


def _fetched(perturbation: Listed) -> list[str]:
    """Everything about one perturbation, its card last."""
    lines = [str(perturbation.path), _bank_words(perturbation)]
    if perturbation.address is not None:
        lines.append(perturbation.address)
    card = perturbation.card
    checked = "" if card is None else ", as its card says"
    lines += [f"SHA-256 {perturbation.sha256}{checked}", *_effects(perturbation)]
    if card is not None:
        lines += [f"Made by {card.created_by}, seed {card.seed}; data: {card.data}", *card.limits]
        lines.append(f"Licence: {card.licence}")
    return [printable(line) for line in lines]


def _bank_words(perturbation: Listed) -> str:
    size = f"{perturbation.bytes / 1000:,.1f} kB, {SOURCES[perturbation.source]}"
    if perturbation.method is None:
        return f"a published array of {'×'.join(map(str, perturbation.shape))}, {size}"
    classes, per_class, _, height, width = perturbation.shape
    kind = "one pattern each" if per_class == 1 else f"{per_class} patterns each"
    return (
        f"{perturbation.method}, {classes:,} classes, {kind} of {height}×{width} cells, "
        f"ε = {perturbation.levels}/255, {size}"
    )


def _effects(perturbation: Listed) -> list[str]:
    """What was measured, a line each."""
    if perturbation.card is None:
        return ["no card: nothing is known of its effect"]
    return [
        f"on {m.files} of {m.data}: {_accuracies(m)}; {m.victim}, {m.date}"
        for m in perturbation.card.measured
    ] or ["effect not measured"]


def _worst_effects(perturbation: Listed) -> str:
    """The worst measurement on each data set."""
    if perturbation.card is None or not perturbation.card.measured:
        return _effects(perturbation)[0]
    ordered = sorted(perturbation.card.measured, key=lambda m: m.drop, reverse=True)
    worst = {measurement.data: measurement for measurement in ordered}
    return "; ".join(f"{data}: {_accuracies(m)}" for data, m in sorted(worst.items()))


def _accuracies(m: Measurement) -> str:
    return (
        f"{100 * m.last:.1f} % (best epoch {100 * m.best:.1f}), clean control "
        f"{100 * m.control_last:.1f} % ({100 * m.control_best:.1f})"
    )
