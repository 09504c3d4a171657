"""A public perturbation on a folder of photos, as it was published: transferred, and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ue_cli.banks.arrayfile import unusable
from ue_cli.banks.bank import load_bank
from ue_cli.banks.cards import Card
from ue_cli.banks.hub import RULE, PerturbationFile, Source, resolve_every
from ue_cli.banks.legacy import (
    MOST_LEVELS,
    SUFFIXES,
    Units,
    read_order,
    read_published,
)
from ue_cli.banks.transfer import transfer_bank, with_budget
from ue_cli.errors import ExitCode, UeError
from ue_cli.owner.key import Subkey
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.pattern import PLACES, SAMPLES, place, sample_key
from ue_cli.types import Bank, Budget, PhotoSet

PUBLIC = "public"
"""In the recipe of a collection and of its bank, where anyone may have the same perturbation."""


@dataclass(frozen=True, slots=True)
class PublicPerturbation:
    """What ``--perturbation`` named, read and in the run's budget.

    Attributes:
        bank: with the classes it was published for.
        name: of its file, or its address on the Hub; no path of this machine.
        sha256: of the file.
        source: where it was found.
        card: what its publisher says of it; None where nobody does.
        chosen: why it was taken, where several have the name; else empty.
    """

    bank: Bank
    name: str
    sha256: str
    source: Source
    card: Card | None = None
    chosen: str = ""

    @property
    def digest(self) -> str:
        """Of what it does to photos, whatever kind of file it came in; 16 hex digits."""
        bank = self.bank
        head = json.dumps([bank.classes, bank.delta.shape, bank.budget.levels])
        return hashlib.sha256(head.encode() + bank.delta.tobytes()).hexdigest()[:16]

    def recipe(self) -> dict[str, Any]:
        """For the collection's state and the report."""
        provenance = self.bank.provenance
        recipe = provenance.recipe
        words = {"perturbation": self.name, "SHA-256": self.sha256, PUBLIC: True}
        if self.chosen:
            words["chosen"] = self.chosen
        if provenance.method != "published":
            words["made by"] = (
                f"{provenance.method} in {provenance.space} space, {provenance.created_by}"
            )
        elif recipe.get("sha256") != self.sha256:
            words["converted from"] = f"{recipe.get('file')}, SHA-256 {recipe.get('sha256')}"
        return words | {name: recipe[name] for name in ("format", "units") if name in recipe}


def read_perturbation(options: ProtectOptions) -> PublicPerturbation | None:
    """What ``--perturbation`` names; None where a private one is to be made.

    Raises:
        UeError: see `load_perturbation`.
    """
    if options.perturbation is None:
        return None
    file, *rest = resolve_every(options.perturbation)
    public = load_perturbation(
        file,
        options.budget,
        order=options.order,
        units=options.units,
        rescale=options.rescale,
    )
    if not rest:
        return public
    chosen = (
        f"{file.name} comes first of {len(rest) + 1} for {options.perturbation}. The rule: "
        f"{RULE}. After it: {', '.join(other.name for other in rest)}."
    )
    return replace(public, chosen=chosen)


def load_perturbation(
    file: PerturbationFile,
    budget: Budget | None,
    *,
    order: str | None = None,
    units: Units | None = None,
    rescale: bool = False,
) -> PublicPerturbation:
    """Read a perturbation that others have, too.

    Args:
        file: where it lies, and what is known of it.
        budget: the ball to be in; None: that of the file, for an array the least that holds it.
        order: of an array's rows; see `read_order`.
        units: of an array's values; None: found from them.
        rescale: multiply it to fill the budget.

    Raises:
        UeError: with exit code 4, or 2 for flags that only a published array needs.
    """
    if file.path.suffix.lower() in SUFFIXES:
        if budget is None and units == "epsilon":
            raise UeError(
                "perturbation-units",
                f"{file.path.name} is said to hold multiples of epsilon, and no budget is given.",
                "Multiply its values by the budget, and say --units levels.",
                exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
            )
        rows = None if order is None else read_order(order)
        widest = budget or Budget(MOST_LEVELS)
        bank = read_published(file.path, widest, order=rows, units=units, rescale=rescale)
        if budget is None:
            bank = replace(bank, budget=Budget(int(np.abs(bank.delta.astype(np.int16)).max())))
    else:
        bank = load_bank(file.path)
        _check_bank(file.path, bank)
        for flag, value in (("--order", order), ("--units", units)):
            if value is not None:
                raise UeError(
                    "flags-clash",
                    f"{file.path.name} says itself what it holds, but {flag} {value} was given.",
                    f"Leave {flag} out: it is for {', '.join(SUFFIXES)} files.",
                )
        bank = with_budget(bank, budget or bank.budget, rescale=rescale)
    if bank.provenance.space != "pixel":
        raise UeError(
            "perturbation-space",
            f"A perturbation in pixel space was expected; {file.path.name} is one in "
            f"{bank.provenance.space} space.",
            "Choose another one: ue fetch-perturbations lists some.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        )
    return PublicPerturbation(
        bank, file.address or file.path.name, file.sha256, file.source, file.card
    )


def _check_bank(path: Path, bank: Bank) -> None:
    """Refuse what a bank may hold and no photo can carry."""
    if not bank.delta.any():
        raise unusable(path, "all its values are zero")
    samples, most = bank.provenance.recipe.get(SAMPLES, {}), bank.delta.shape[1]
    if bank.provenance.method == "csd" and most == 1:
        return  # bundled ones say there, in words, how many became one
    if not isinstance(samples, dict) or not all(
        type(variant) is int and 0 <= variant < most for variant in samples.values()
    ):
        raise unusable(
            path,
            f"it should say which of a class's {most:,} patterns is a photo's own, as numbers from "
            f"0 to {most - 1:,}, but says something else",
        )


def fit_to_photos(
    public: PublicPerturbation, photos: PhotoSet, secret: Subkey, frozen: Bank | None
) -> Bank:
    """Its transfer to the photos' classes; nothing of ``frozen``, the collection's own, changes.

    Of a class-wise perturbation every photo of a class carries the same entry. Of a sample-wise
    one the photos that it was made on, if it says which, carry their own samples. The others of a
    class carry the next ones in turn, sorted by name, and so do photos that join later.

    Raises:
        UeError: it has too few classes to mix.
    """
    places = {} if frozen is None else dict(frozen.provenance.recipe.get(PLACES, {}))
    per_class = None
    if public.bank.delta.shape[1] > 1:
        samples = public.bank.provenance.recipe.get(SAMPLES, {})
        per_class = _give_samples(photos, secret, samples, places)
    bank = transfer_bank(public.bank, photos.classes, per_class=per_class, frozen=frozen)
    recipe = dict(bank.provenance.recipe)
    recipe |= {PUBLIC: True, "file": public.name, "sha256": public.sha256}
    if places:
        recipe[PLACES] = places
    recipe["source"] = {k: v for k, v in recipe["source"].items() if k != SAMPLES}
    return replace(bank, provenance=replace(bank.provenance, recipe=recipe))


def _give_samples(
    photos: PhotoSet, secret: Subkey, samples: Mapping[str, int], places: dict[str, int]
) -> int:
    """Add to ``places`` the photos that have none; returns how many samples a class needs."""
    waiting: dict[str, list[str]] = {}
    following: dict[str, int] = {}
    for photo in photos.photos:
        label, key = photo.label or "", place(secret.photo_seed(photo.name))
        if key not in places and (sample := samples.get(sample_key(label, photo.name))) is not None:
            places[key] = sample
        if key in places:
            following[label] = max(following.get(label, 0), places[key] + 1)
        else:
            waiting.setdefault(label, []).append(key)
    for label, keys in waiting.items():
        start = following.get(label, 0)
        places |= {key: start + index for index, key in enumerate(keys)}
        following[label] = start + len(keys)
    return max(following.values(), default=1)
