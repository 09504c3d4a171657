"""Before the first image: the collection that OUT belongs to, and what its classes carry."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.errors import UeError
from ue_cli.images.clusters import Clusters, thumbnail_features
from ue_cli.images.labels import label
from ue_cli.images.opening import read_size
from ue_cli.images.scan import Scan
from ue_cli.owner.collection_info import CollectionInfo, find_collection, new_id, now
from ue_cli.owner.key import OwnerKey
from ue_cli.owner.manifest import MANIFEST_FILE, read_manifest
from ue_cli.owner.pending import Pending
from ue_cli.owner.state import Collection
from ue_cli.protection.making import (
    CODE_VERSION,
    Origin,
    learned_words,
    make_cells,
    make_codes,
    search_of,
)
from ue_cli.protection.options import MakingOptions, ProtectOptions
from ue_cli.protection.pattern import CellPattern, Pattern, TexturePattern
from ue_cli.protection.publicnotes import public_cautions
from ue_cli.protection.published import PublicPerturbation, fit_to_photos
from ue_cli.textures.presets import texture_recipe
from ue_cli.textures.texture import TextureCode, recipe_from_json, recipe_to_json
from ue_cli.types import Bank, FloatArray, Phases, PhotoSet
from ue_cli.workers import Crashed, WorkerPool

BANK_FILE = "bank.safetensors"

SIZED = 16
"""Photos whose headers are read to learn how large the photos are."""


def output_collection(options: ProtectOptions) -> tuple[str, CollectionInfo | None]:
    """The collection that OUT already belongs to, its fingerprint first; None where OUT is new.

    Raises:
        UeError: OUT's manifest is damaged, or its state is not here.
    """
    if not (options.out / MANIFEST_FILE).exists():
        return "", None
    fingerprint = read_manifest(options.out).collection
    info = find_collection(options.home, fingerprint)
    if info is None:
        raise UeError(
            "state-missing",
            f"{options.out} belongs to collection {fingerprint}, whose state is not here.",
            "Copy it from the machine that has it (ue key shows where it lies there), or give "
            "another -o.",
        )
    return fingerprint, info


def require_same(
    options: ProtectOptions, info: CollectionInfo, public: PublicPerturbation | None
) -> None:
    """Hold this run's flags against those that a collection was made with.

    Raises:
        UeError: ``options-differ``.
    """
    wanted = {"method": options.method, "levels": options.budget.levels}
    wanted |= _byte_options(options, public)
    previous = info.options | {"method": info.method, "levels": info.levels}
    differing = [name for name, value in wanted.items() if previous.get(name) != value]
    if differing:
        before = previous | _called(info.recipe)
        today = wanted | _called({} if public is None else public.recipe())
        was, now_ = (
            ", ".join(_flag(name, flags.get(name)) for name in differing)
            for flags in (before, today)
        )
        raise UeError(
            "options-differ",
            f"{options.out} was made with {was}; this run asks for {now_}.",
            "Use the same flags, or give another -o.",
        )


def _flag(name: str, value: object) -> str:
    return f"no {name}" if value is None else f"{name} {value}"


def label_photos(
    scan: Scan, options: MakingOptions, info: CollectionInfo | None, phases: Phases
) -> tuple[PhotoSet, Clusters | None]:
    """Label a scan, by the collection's own rule where there is one."""
    rule, clusters = options.labels, None
    if info is not None and rule == "auto":
        rule = info.label_rule if info.label_rule in ("folders", "single", "clusters") else rule
        clusters = Clusters.from_json(info.clusters) if info.clusters is not None else None

    def features(paths: Sequence[Path]) -> Iterable[FloatArray | None]:
        phases.start("Looking for groups", len(paths))
        rows: list[FloatArray | None] = [None] * len(paths)
        pool = WorkerPool(_features, options.jobs, _no_setup, ())
        for (index, _), row in pool.run(enumerate(paths)):
            rows[index] = None if isinstance(row, Crashed) else row
            phases.step()
        return rows

    return label(scan, rule, features=features, clusters=clusters)


def _features(task: tuple[int, Path]) -> FloatArray | None:
    return thumbnail_features(task[1])


def _no_setup() -> None:
    """Thumbnails share nothing."""


def create_collection(
    options: ProtectOptions,
    owner: OwnerKey,
    photos: PhotoSet,
    clusters: Clusters | None,
    public: PublicPerturbation | None,
    phases: Phases,
) -> tuple[Collection, Pattern, Origin]:
    """Make a new collection's perturbation and its state, before the first image is written."""
    with search_of(options, options.out) as unfinished:
        return _created(options, owner, photos, clusters, public, phases, unfinished)


def _created(
    options: ProtectOptions,
    owner: OwnerKey,
    photos: PhotoSet,
    clusters: Clusters | None,
    public: PublicPerturbation | None,
    phases: Phases,
    unfinished: Pending | None,
) -> tuple[Collection, Pattern, Origin]:
    info = CollectionInfo(
        id=new_id() if unfinished is None else unfinished.id,
        created=now(),
        source=str(options.src),
        name=options.collection,
        method=options.method,
        levels=options.budget.levels,
        label_rule=photos.label_rule,
        recipe=_recipe(options, public, photos),
        options=_byte_options(options, public),
        clusters=clusters.to_json() if clusters is not None else None,
    )
    secret = info.subkey(owner)
    if public is not None:
        bank = fit_to_photos(public, photos, secret, None)
        collection = Collection.create(options.home, owner, info, {BANK_FILE: _bytes(bank)})
        return collection, CellPattern(bank), _taken(public, bank, photos)
    if options.space == "pixel":
        bank, origin = make_cells(photos, secret, options, None, phases, unfinished)
        info = replace(info, recipe=info.recipe | learned_words(bank))
        collection = Collection.create(options.home, owner, info, {BANK_FILE: _bytes(bank)})
        return collection, CellPattern(bank), origin
    secret, recipe = info.texture_secret(owner), recipe_from_json(info.recipe)
    codes, origin = make_codes(photos.classes, secret, recipe, options.selection, {}, phases)
    info = replace(info, recipe=info.recipe | {"candidates": origin.candidates})
    collection = Collection.create(options.home, owner, info)
    collection.add_codes({name: code.to_json() for name, code in codes.items()})
    return collection, TexturePattern(codes, recipe.bandwidth, secret), origin


def join_collection(
    collection: Collection,
    owner: OwnerKey,
    options: ProtectOptions,
    photos: PhotoSet,
    public: PublicPerturbation | None,
    phases: Phases,
) -> tuple[Pattern, Origin | None]:
    """Make what classes that are new to a collection carry; whatever it has stays frozen."""
    if options.space == "pixel":
        bank = load_bank(collection.folder / BANK_FILE)
        if public is not None:
            bank = fit_to_photos(public, photos, collection.subkey, bank)
            save_bank(bank, collection.folder / BANK_FILE)
            return CellPattern(bank), _taken(public, bank, photos)
        if all(name in bank.classes for name in photos.classes):
            return CellPattern(bank), None
        with search_of(options, options.out) as unfinished:
            bank, origin = make_cells(photos, collection.subkey, options, bank, phases, unfinished)
            save_bank(bank, collection.folder / BANK_FILE)
        return CellPattern(bank), origin
    frozen = {name: TextureCode.from_json(x) for name, x in collection.info.codes.items()}
    # What was usual when the collection began holds for all of its photos and classes.
    recipe, secret = recipe_from_json(collection.info.recipe), collection.info.texture_secret(owner)
    joining = [name for name in photos.classes if name not in frozen]
    if not joining:
        return TexturePattern(frozen, recipe.bandwidth, secret), None
    codes, origin = make_codes(joining, secret, recipe, options.selection, frozen, phases)
    collection.add_codes({name: code.to_json() for name, code in codes.items()})
    return TexturePattern(frozen | codes, recipe.bandwidth, secret), origin


def _bytes(bank: Bank) -> bytes:
    with tempfile.TemporaryDirectory(prefix="ue-") as folder:
        path = Path(folder) / BANK_FILE
        save_bank(bank, path)
        return path.read_bytes()


def _taken(public: PublicPerturbation, bank: Bank, photos: PhotoSet) -> Origin:
    return Origin("cpu", None, None, cautions=public_cautions(public, bank, photos))


def _byte_options(options: ProtectOptions, public: PublicPerturbation | None) -> dict[str, Any]:
    """Every flag, besides the budget, that changes what is written."""
    chosen: dict[str, Any] = {
        "space": options.space,
        "look": options.look.name,
        "collection": options.collection,
        "selection": options.selection,
        "format": options.format,
        "strip-gps": options.strip_gps,
        "strip-metadata": options.strip_metadata,
        "opt-out": options.opt_out,
    }
    if public is not None:
        return chosen | {"perturbation": public.digest}
    return chosen | (_cell_options(options) if options.space == "pixel" else {})


def _called(recipe: dict[str, Any]) -> dict[str, str]:
    """A public perturbation as people know it, instead of by its digest."""
    if "perturbation" not in recipe:
        return {}
    return {"perturbation": f"{recipe['perturbation']} (SHA-256 {recipe['SHA-256'][:12]}…)"}


def _recipe(
    options: ProtectOptions, public: PublicPerturbation | None, photos: PhotoSet
) -> dict[str, Any]:
    if public is not None:
        return public.recipe()
    if options.space == "pixel":
        return {k: value for k, value in _cell_options(options).items() if value is not None}
    recipe = options.recipe or texture_recipe(options.look, typical_short_side(photos))
    return recipe_to_json(recipe) | {"code_version": CODE_VERSION}


def typical_short_side(photos: PhotoSet) -> int | None:
    """The median short side of `SIZED` photos, evenly spread by name; None: none of them tells."""
    count = len(photos.photos)
    at = {index * count // SIZED for index in range(SIZED)}
    sizes = [read_size(photos.photos[index].path) for index in sorted(at)]
    sides = [min(size) for size in sizes if size is not None]
    return statistics.median_low(sides) if sides else None


def _cell_options(options: ProtectOptions) -> dict[str, Any]:
    if options.method == "csd":
        return {"cells": options.cells, "gradient": options.gradient}
    chosen: dict[str, Any] = {"cells": options.cells, "per": options.per}
    if options.method == "tue":
        chosen |= {
            "preset": options.preset,
            "surrogate": options.surrogate,
            "gradient": options.gradient,
            "contrastive-weight": options.contrastive_weight,
            "csd-weight": options.csd_weight,
        }
    return chosen
