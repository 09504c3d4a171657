"""What a collection's classes will carry: chosen, optimised or learned, once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ue_cli.owner.key import Subkey
from ue_cli.owner.pending import Pending, pending
from ue_cli.protection.options import MakingOptions
from ue_cli.report import Caution
from ue_cli.textures.presets import choice_view
from ue_cli.textures.texture import (
    TextureCode,
    TextureRecipe,
    draw_code,
    recipe_to_json,
    uniforms,
)
from ue_cli.types import Bank, Phases, PhotoSet

CODE_VERSION = 2
"""Of the way from the secret to a code; part of every draw, so that a new way is a new code."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a new or joined class's pattern was made, for the report.

    Attributes:
        device: where it ran.
        csd_before, csd_after: of the codes as drawn and as chosen; None for one class.
        candidates: codes that each class was chosen from; None for cells.
        cautions: what the owner has to know of it.
    """

    device: str
    csd_before: float | None
    csd_after: float | None
    candidates: int | None = None
    cautions: tuple[Caution, ...] = ()


def make_codes(
    names: Sequence[str],
    secret: Subkey,
    recipe: TextureRecipe,
    selection: str,
    frozen: Mapping[str, TextureCode],
    phases: Phases,
) -> tuple[dict[str, TextureCode], Origin]:
    """Texture codes for classes that have none, beside those that have.

    The first classes of a collection get theirs by lot: as many codes are chosen as there are
    classes, blind to which class gets which, and then assigned by a permutation that the secret
    alone decides. A class that joins later draws its own, chosen against those that are there.

    Args:
        names: the new classes.
        secret: of the textures.
        recipe: what a code may be.
        selection: ``csd``, or ``random``.
        frozen: codes that do not change.
        phases: told about the search.
    """
    from ue_cli.textures.choice import optimise_codes

    phases.start("Choosing class textures", 100)
    band = json.dumps(recipe_to_json(recipe), sort_keys=True)
    slots = [f"{index:06d}" for index in range(len(names))]
    if frozen:
        slots = sorted(names)
        seeds = {name: secret.class_seed(name, CODE_VERSION) for name in slots}
    else:
        seeds = {slot: secret.lot(f"code {CODE_VERSION}", band, slot) for slot in slots}
    done = 0

    def on_step(share: float) -> None:
        nonlocal done
        phases.step(round(100 * share) - done)
        done = round(100 * share)

    chosen = optimise_codes(
        seeds,
        lambda seed: draw_code(seed, recipe),
        frozen=frozen,
        pool=1 if selection == "random" else None,
        view=choice_view(recipe),
        on_step=on_step,
    )
    order = range(len(slots)) if frozen else assignment(secret, band, names)
    codes = {name: chosen.codes[slots[at]] for name, at in zip(sorted(names), order, strict=True)}
    return codes, Origin("cpu", chosen.csd_before, chosen.csd_after, chosen.candidates)


def assignment(secret: Subkey, band: str, names: Sequence[str]) -> list[int]:
    """The slot of each class in the order of their names: a permutation, each equally likely."""
    ordered = sorted(names)
    draws = uniforms(secret.lot(f"assignment {CODE_VERSION}", band, *ordered), len(ordered))
    return sorted(range(len(ordered)), key=lambda index: float(draws[index]))


@contextmanager
def search_of(options: MakingOptions, target: Path) -> Iterator[Pending | None]:
    """What is unfinished of a search for ``target``; None where the method has no surrogate."""
    if options.method not in ("pue", "em", "tue"):
        yield None
        return
    with pending(options.home, target) as search:
        yield search
        search.finished = True


def make_cells(
    photos: PhotoSet,
    secret: Subkey,
    options: MakingOptions,
    frozen: Bank | None,
    phases: Phases,
    unfinished: Pending | None,
) -> tuple[Bank, Origin]:
    """A bank of cells for the photos' classes; what ``frozen`` holds stays.

    Args:
        photos: labelled.
        secret: of the collection.
        options: the flags.
        frozen: the collection's bank so far.
        phases: told about the optimisation.
        unfinished: of methods with a surrogate, where an interrupted search goes on.

    Raises:
        UeError: the device is not there, or there are too few classes for a surrogate.
    """
    from ue_cli.training.backend import resolve_device

    device = resolve_device(options.device)
    if unfinished is None:
        return _separated(photos.classes, secret, options, frozen, device, phases)
    from ue_cli.protection.learned import learn_cells

    bank = learn_cells(photos, secret, options, frozen, device, phases, unfinished)
    return bank, Origin(device, None, None)


def _separated(
    names: Sequence[str],
    secret: Subkey,
    options: MakingOptions,
    frozen: Bank | None,
    device: str,
    phases: Phases,
) -> tuple[Bank, Origin]:
    from ue_cli.methods.csd import PixelCsd

    method = PixelCsd(cells=options.cells, gradient=options.gradient)
    seeds = {name: secret.class_seed(name, CODE_VERSION) for name in names}
    phases.start("Optimising cells", method.steps)
    bank = method.optimise(
        tuple(names),
        seeds,
        options.budget,
        frozen=frozen,
        device=device,
        on_step=lambda *_: phases.step(),
    )
    return bank, Origin(device, None, None)


def learned_words(bank: Bank) -> dict[str, Any]:
    """What pue, em and tue say of their search, for the collection's recipe and the report."""
    recipe = bank.provenance.recipe
    if "rounds" not in recipe:
        return {}
    if bank.provenance.method == "tue":
        learner = f"{recipe['ssl']['ssl']}, {recipe['ssl']['net']}"
        trained = recipe["contrastive"] or recipe["targeted"]
        return {
            "photos optimised on": recipe["images"],
            "surrogate": learner if trained else "none: CSD alone",
            "rounds": len(recipe["rounds"]),
            "weight of the contrastive loss": recipe["contrastive"],
            "weight of CSD": recipe["separation"],
            "weight of the targeted term": recipe["targeted"],
            "gradient of CSD": recipe["gradient"],
            "CSD": f"{recipe['csd_before']:.3f} at the start, "
            f"{recipe['rounds'][-1]['csd']:.3f} at the end; lower is easier to tell apart",
        }
    return {
        "photos optimised on": recipe["images"],
        "rounds": len(recipe["rounds"]),
        "robust rounds": recipe["robust_rounds"],
        "noise levels": recipe["noise_levels"],
        "draws": recipe["draws"],
        "surrogate's final error": recipe["final_error"],
        "stopped by": recipe["stopped_by"],
    }
