"""What the owner is told of a public perturbation: its card, and its cautions."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.banks.cards import Card
from ue_cli.banks.transfer import has_name, mixed_classes
from ue_cli.protection.pattern import SAMPLES, sample_key
from ue_cli.protection.published import PublicPerturbation
from ue_cli.report import PUBLIC_CAUTION, Caution, PublicNote
from ue_cli.types import Bank, PhotoSet


def describe(public: PublicPerturbation) -> PublicNote:
    """What is known of it, for the report."""
    card = public.card
    return PublicNote(
        name=public.name,
        sha256=public.sha256,
        source=public.source,
        chosen=public.chosen,
        card=None if card is None else card.name,
        claims=() if card is None else _claims(card),
        limits=() if card is None else card.limits,
    )


def _claims(card: Card) -> tuple[str, ...]:
    """Say what a card says that the perturbation did: last epoch, and in brackets the best."""
    return tuple(
        f"{100 * claim.last:.1f} % ({100 * claim.best:.1f} %) on {claim.files} of {claim.data}, "
        f"{100 * claim.control_last:.1f} % ({100 * claim.control_best:.1f} %) without it "
        f"({claim.victim}, seed {claim.seed}, {claim.date}); measured on those, not on yours"
        for claim in card.measured
    )


def public_cautions(
    public: PublicPerturbation, bank: Bank, photos: PhotoSet
) -> tuple[Caution, ...]:
    """What the owner has to know of it.

    Args:
        public: what was named.
        bank: what it became.
        photos: of this run.
    """
    cautions = [
        Caution(
            PUBLIC_CAUTION,
            f"Anyone who has the same perturbation ({public.name}, SHA-256 {public.sha256[:12]}…) "
            "can lay it over these photos and subtract it. Permuting, flipping or mixing it would "
            "hide nothing.",
            "Where that matters, leave --perturbation out: the default is made under your own key. "
            "ue evaluate shows what the subtraction brings back.",
        )
    ]
    if mixed := mixed_classes(bank):
        cautions.append(
            Caution(
                "mixed-classes",
                f"The perturbation has {len(public.bank.classes)} entries for {len(bank.classes)} "
                f"classes, so that {len(mixed)} of them, such as {mixed[0]}, carry mixtures of two "
                "entries, which are fainter and lie closer together.",
                "Choose a perturbation with more classes, or leave --perturbation out.",
            )
        )
    if other := _made_for_others(public.bank, photos):
        cautions.append(
            Caution(
                "other-data",
                f"The perturbation was learned on other photos than these: {other}. That can do "
                "less than it did there, or nothing.",
                "If it was meant for these photos, give folders and files the names that they had "
                "then. Else choose another one, or leave --perturbation out.",
            )
        )
    return tuple(cautions)


def _made_for_others(bank: Bank, photos: PhotoSet) -> str:
    """Why a bank that was learned on photos was learned on others; empty where nothing says so."""
    if bank.provenance.method == "csd":  # which looks at no photo
        return ""
    samples = bank.provenance.recipe.get(SAMPLES, {})
    match = any(sample_key(photo.label or "", photo.name) in samples for photo in photos.photos)
    if samples and not match:
        return f"of its {len(samples):,} files none is here, by class and name"
    named = [name for name in bank.classes if not name.isdigit()]
    if named and not any(has_name(bank.classes, name) for name in photos.classes):
        theirs, ours = _first_names(named), _first_names(photos.classes)
        return f"none of its classes ({theirs}) is one of these ({ours})"
    return ""


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
