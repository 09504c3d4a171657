"""Which of several public perturbations suits some photos: by their classes, then their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ue_cli.perturbation.cards import Card, unavailable
from ue_cli.perturbation.transfer import has_names

AUTO = "auto"
"""For ``--perturbation``: choose."""

SMALL = 48
"""Pixels of a photo's short side up to which CIFAR-10's 32 are nearer than Tiny-ImageNet's 64."""

TITLES = {"cifar10": "CIFAR-10", "tiny-imagenet": "Tiny-ImageNet"}


@dataclass(frozen=True, slots=True)
class Other:
    """A perturbation that was considered and not taken, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        name: of the perturbation.
        reason: one or two sentences.
        others: the rest, the most suitable first.
    """

    name: str
    reason: str
    others: tuple[Other, ...]

    def __str__(self) -> str:
        """All of it, in words."""
        rest = "; ".join(f"{other.name} ({other.why})" for other in self.others)
        return f"{self.reason} Also considered: {rest}." if rest else self.reason


def choose(cards: Sequence[Card], classes: Sequence[str], short_side: int | None) -> Choice:
    """Choose by rules in this order, each deciding only between what the ones before leave equal.

    1. Every class has an entry of its own name.
    2. Every class has an entry of its own; failing that, as many as possible have.
    3. The fewest entries beyond those.
    4. Most accuracy taken from a victim on the nearest data that banks are measured on, by the
       worst measurement on the card: CIFAR-10 for short sides up to `SMALL` pixels, else
       Tiny-ImageNet. One that was not measured comes after those that were.
    5. The name.

    Args:
        cards: of what there is to choose from.
        classes: of the photos, distinct.
        short_side: of a typical photo, in pixels; None where no photo says its size.

    Raises:
        UeError: there is nothing to choose from.
    """
    if not cards:
        raise unavailable(
            "perturbation-unknown",
            "This installation holds no perturbation to choose from.",
            "Install ue again, or name a file or an hf:// address.",
        )
    data = "cifar10" if short_side is not None and short_side <= SMALL else "tiny-imagenet"
    wanted = len(classes)

    def fit(card: Card) -> tuple[bool, int, int]:
        spare = len(card.classes) - wanted
        return not has_names(card.classes, classes), max(-spare, 0), max(spare, 0)

    def rank(card: Card) -> tuple[bool, float, str]:
        drop = card.effect(data)
        return drop is None, -(drop or 0.0), card.name

    fits = {card.name: fit(card) for card in cards}
    ordered = sorted(cards, key=lambda card: (fits[card.name], rank(card)))
    best = ordered[0]
    equal = [card for card in ordered if fits[card.name] == fits[best.name]]
    reason = _by_classes(best, fits[best.name], wanted)
    if len(equal) > 1:
        size = "" if short_side is None else f" (short sides of {short_side} pixels)"
        reason += f" {_by_effect(best, len(equal), data, size)}"
    others = []
    for card in ordered[1:]:
        why = _lost(fits[card.name], fits[best.name], len(card.classes))
        others.append(Other(card.name, why or _effect_words(card, data)))
    return Choice(best.name, reason, tuple(others))


def _by_classes(best: Card, fit: tuple[bool, int, int], wanted: int) -> str:
    unnamed, lacking, _ = fit
    have = len(best.classes)
    each = "the one class" if wanted == 1 else f"each of the {wanted:,} classes"
    if lacking:
        return (
            f"{best.name} has the most patterns, {have:,}, and too few for {wanted:,} classes: "
            f"{lacking:,} of them carry mixtures of two, which are fainter."
        )
    if unnamed:
        return f"{best.name} has {have:,} patterns, the fewest that give {each} its own."
    return f"{best.name} has a pattern of the same name for {each}."


def _by_effect(best: Card, count: int, data: str, size: str) -> str:
    title = TITLES[data]
    drop = best.effect(data)
    if drop is None:
        return (
            f"Of {count} such, none was measured on {title}, whose images are nearest in size "
            f"to yours{size}, so the name decided."
        )
    return (
        f"Of {count} such, it took most from a victim on {title}, whose images are nearest in "
        f"size to yours{size}: {100 * drop:.1f} points of accuracy."
    )


def _lost(own: tuple[bool, int, int], best: tuple[bool, int, int], have: int) -> str:
    """By which of the rules on classes it lost; empty: by none."""
    if own[0] > best[0]:
        return "its patterns have other names"
    if own[1] > best[1]:
        return f"it has only {have:,} patterns"
    return f"it has {have:,} patterns, more than needed" if own[2] > best[2] else ""


def _effect_words(card: Card, data: str) -> str:
    drop = card.effect(data)
    if drop is None:
        return f"not measured on {TITLES[data]}"
    return f"it took {100 * drop:.1f} points on {TITLES[data]}"
