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
