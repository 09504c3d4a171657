"""``--perturbation auto``: the bundled perturbation that suits a folder, and why."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from ue_cli.errors import UeError
from ue_cli.perturbation.choice import AUTO, Choice, choose
from ue_cli.perturbation.hub import BUNDLE, bundled, from_bundle
from ue_cli.photos.opening import read_size
from ue_cli.photos.owner.collection_info import CollectionInfo
from ue_cli.pipeline.protection.options import ProtectOptions
from ue_cli.pipeline.protection.published import PUBLIC, PublicPerturbation, read_as_asked
from ue_cli.types import PhotoSet

SIZED = 16
"""Photos whose headers are read to learn how large the photos are."""


def choose_perturbation(
    options: ProtectOptions, photos: PhotoSet, *, bundle: Path = BUNDLE
) -> PublicPerturbation:
    """Choose among the bundled ones (see `choose`), and read what was chosen.

    Args:
        options: the flags.
        photos: labelled.
        bundle: folder of the bundled ones.

    Raises:
        UeError: with exit code 4: there is none, or it does not fit the budget.
    """
    cards = {card.name: card for card in bundled(bundle)}
    choice = choose(tuple(cards.values()), photos.classes, typical_short_side(photos))
    found = from_bundle(cards[choice.name], bundle)
    return replace(read_as_asked(found, options), choice=choice)


def chosen_before(
    options: ProtectOptions, info: CollectionInfo, *, bundle: Path = BUNDLE
) -> PublicPerturbation:
    """What OUT carries already: photos and classes that join later change nothing about it.

    Args:
        options: the flags.
        info: of the collection that OUT belongs to.
        bundle: folder of the bundled ones.

    Raises:
        UeError: ``options-differ``: that is no bundled perturbation.
    """
    sha256 = info.recipe.get("SHA-256") if info.recipe.get(PUBLIC) is True else None
    card = next((card for card in bundled(bundle) if card.sha256 == sha256), None)
    if card is None:
        was = info.recipe.get("perturbation", f"a secret one ({info.method})")
        raise UeError(
            "options-differ",
            f"{options.out} was made with another perturbation, {was}; --perturbation {AUTO} "
            "chooses among the bundled ones.",
            "Use the same flags as then, or give another -o.",
        )
    reason = f"{card.name} is what the files of {options.out.name} carry already."
    found = from_bundle(card, bundle)
    return replace(read_as_asked(found, options), choice=Choice(card.name, reason, ()))


def typical_short_side(photos: PhotoSet) -> int | None:
    """The median short side of `SIZED` photos, evenly spread by name; None: none of them tells."""
    count = len(photos.photos)
    at = {index * count // SIZED for index in range(SIZED)}
    sizes = [read_size(photos.photos[index].path) for index in sorted(at)]
    sides = [min(size) for size in sizes if size is not None]
    return statistics.median_low(sides) if sides else None
