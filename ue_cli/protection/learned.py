"""PUE, EM and TUE on a folder of photos: small squares of them, and one surrogate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from ue_cli.datasets.images import load_readable
from ue_cli.methods.alternation import Alternation
from ue_cli.methods.em import Em
from ue_cli.methods.pue import Pue
from ue_cli.methods.tue import Tue
from ue_cli.methods.tue_presets import tue
from ue_cli.owner.key import Subkey
from ue_cli.owner.pending import Pending
from ue_cli.protection.options import MakingOptions
from ue_cli.protection.pattern import PLACES, CellPattern, place
from ue_cli.protection.resuming import SearchCheckpoint
from ue_cli.types import Bank, Phases, Photo, PhotoSet

MOST = 5000
"""Photos that the surrogate sees; more would cost time and change little. TUE's published recipe
sees all: it makes a pattern for each."""

VERSION = 1
"""Of the way from the key to the seed of a search."""


def learn_cells(
    photos: PhotoSet,
    secret: Subkey,
    options: MakingOptions,
    frozen: Bank | None,
    device: str,
    phases: Phases,
    unfinished: Pending,
) -> Bank:
    """Optimise cells with a surrogate that is trained on the photos themselves.

    Which photos take part, their order and every draw come from the key. With a pattern per photo,
    those that take part have one of their own, and the others share them by their seeds.

    Args:
        photos: labelled; what cannot be read is left out here and reported later.
        secret: of the collection.
        options: the flags.
        frozen: the bank that new classes join.
        device: for torch.
        phases: told about reading and optimising.
        unfinished: where an interrupted search goes on.

    Raises:
        UeError: fewer than two classes have readable photos.
    """
    method = _method(options)
    chosen = _chosen(photos, secret, options)
    indices, images = load_readable(
        [photo.path for photo in chosen],
        method.size,
        jobs=options.jobs,
        phases=phases,
        title="Reading photos for the surrogate",
        max_pixels=options.max_pixels,
    )
    chosen = [chosen[index] for index in indices]
    seeds = [secret.photo_seed(photo.name) for photo in chosen]
    labels = [photo.label or "" for photo in chosen]
    old = () if frozen is None else frozen.classes
    variants, places = [], {}
    counts: dict[str, int] = {}
    for label, seed in zip(labels, seeds, strict=True):
        if frozen is not None and label in old:
            variants.append(CellPattern(frozen).variant(label, seed))
            continue
        variants.append(counts.get(label, 0))
        places[place(seed)] = variants[-1]
        counts[label] = variants[-1] + 1
    if options.per == "photo":
        per_class = max(counts.values(), default=1) if frozen is None else frozen.delta.shape[1]
        method = replace(method, per_class=per_class)
    method = replace(method, batches=min(method.batches, 2 * -(-len(chosen) // method.batch)))
    phases.start("Training against a surrogate", method.max_rounds)
    search, done = SearchCheckpoint(unfinished), 0

    def on_step(rounds: int, _: int, __: float) -> None:
        nonlocal done
        if not done and search.resumed:
            phases.note(f"An interrupted search goes on after its round {rounds}.")
        phases.step(rounds - done)
        done = rounds

    names = "\0".join(name for name in photos.classes if name not in old)
    outcome = method.optimise(
        torch.from_numpy(images),
        torch.tensor([photos.classes.index(label) for label in labels]),
        photos.classes,
        options.budget,
        seed=int.from_bytes(secret.class_seed(names, VERSION)[:6], "big"),
        variants=torch.tensor(variants),
        frozen=frozen,
        device=device,
        on_step=on_step,
        checkpoint=search,
    )
    phases.step(method.max_rounds - done)
    if options.per == "class":
        return outcome.bank
    frozen_places = {} if frozen is None else frozen.provenance.recipe[PLACES]
    provenance = outcome.bank.provenance
    recipe = dict(provenance.recipe) | {PLACES: frozen_places | places}
    return replace(outcome.bank, provenance=replace(provenance, recipe=recipe))


def _method(options: MakingOptions) -> Alternation | Tue:
    if options.method == "tue":
        return tue(
            options.preset or "small",
            options.surrogate or "simclr",
            cells=options.cells,
            per_class=1,
            contrastive=options.contrastive_weight,
            separation=options.csd_weight,
            gradient=options.gradient,
        )
    kind = Pue if options.method == "pue" else Em
    return kind(cells=options.cells)


def _chosen(photos: PhotoSet, secret: Subkey, options: MakingOptions) -> list[Photo]:
    """The photos that take part, of large classes as many as of each other; sorted by name."""
    if options.preset == "paper":
        return sorted(photos.photos, key=lambda photo: photo.name)
    by_class: dict[str, list[Photo]] = {name: [] for name in photos.classes}
    for photo in photos.photos:
        by_class[photo.label or ""].append(photo)
    share = max(2, MOST // max(1, len(by_class)))
    return sorted(_drawn(by_class.values(), share, secret), key=lambda photo: photo.name)


def _drawn(groups: Iterable[list[Photo]], share: int, secret: Subkey) -> Iterable[Photo]:
    for group in groups:
        yield from sorted(group, key=lambda photo: secret.photo_seed(photo.name))[:share]
