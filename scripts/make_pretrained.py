"""Make a bundled perturbation and its card.

    python scripts/make_pretrained.py csd-cifar10
    python scripts/make_pretrained.py pue-cifar10 tue-simclr-cifar10 --data DATA
    python scripts/make_pretrained.py pue-cifar10 --published --data DATA --out BANKS

``csd-…`` need no images: every class's start follows from a public seed, the bank's name and the
class's, and the released gradient collapses a class's samples to one pattern. ``pue-…`` and
``tue-…`` train a surrogate on DATA, which holds ``train/CLASS/*`` of CIFAR-10 and of ten
Tiny-ImageNet classes side by side; TUE has 16 coarse patterns per class. ``--published`` makes PUE
as the paper has it, for a GPU, outside of the bundle. The same call gives the same bytes; what is
learned in floating point does so on the same machine and versions. What a card has of measurements
is kept only where the bank stays the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from folders import CIFAR10, class_names, first_files, load

from ue_cli.banks.bank import save_bank
from ue_cli.banks.cardfile import read_card, write_card
from ue_cli.banks.cards import CARD_SUFFIX, Card, file_sha256
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.pue import Pue
from ue_cli.methods.search import Learner
from ue_cli.methods.tue import Tue
from ue_cli.methods.tue_presets import tue
from ue_cli.training.ssl_recipes import SSL_NAMES, SSL_TITLES, SslName
from ue_cli.types import Bank, Budget

BUDGET = Budget(8)
BUNDLE = Path(__file__).resolve().parent.parent / "pretrained"
SEED = "ue-pretrained/1"
"""Public; the number is that of the way from it to the banks."""

CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)
NUMBERS = tuple(f"{index:04d}" for index in range(1000))

CSD = {
    "csd-cifar10": ("cifar10", CIFAR10),
    "csd-cifar100": ("cifar100", CIFAR100),
    "csd-1000": ("any", NUMBERS),
}
PUE = {"pue-cifar10": "cifar10", "pue-tiny-imagenet-10": "tiny-imagenet"}
TUE: dict[str, SslName] = {f"tue-{learner}-cifar10": learner for learner in SSL_NAMES}
NAMES = (*CSD, *PUE, *TUE)

COLLAPSING = PixelCsd(cells=8, per_class=8, steps=40, gradient="released")
"""Enough steps of 0.8 levels to carry every value from anywhere in the ball to its surface."""

LIMITS = (
    "Public: anyone can download this perturbation and subtract it from files that carry it. "
    "A fresh one under your own key is what ue protect makes by default.",
    "Permuting, flipping or mixing its classes stays in its span and hides nothing.",
    "One pattern per class, stretched over the frame: a linear classifier finds it, averaging a "
    "class's files estimates it, and orthogonal projection removes it.",
    "Adversarial training, diffusion purification and dilution with clean images defeat it, as "
    "they defeat every published method.",
)
_SEVERAL = (
    "Several patterns per class, stretched over the frame: few enough to be found among its files, "
    "and a linear classifier finds what is common to them."
)


def make_csd(name: str, classes: Sequence[str], method: PixelCsd = COLLAPSING) -> Bank:
    """A class-wise bank of binary patterns, from the public seed alone.

    Args:
        name: of the bank; part of the seed.
        classes: their names.
        method: with the released gradient, and steps enough to collapse every class.
    """
    seeds = {label: sha256("\0".join((SEED, name, label)).encode()).digest() for label in classes}
    bank = method.optimise(classes, seeds, BUDGET)
    if not (bank.delta == bank.delta[:, :1]).all():
        raise RuntimeError("some class has not collapsed to one pattern: take more steps")
    source = bank.provenance
    # Rounded: the last digits of a sum are the machine's own.
    recipe = {
        **source.recipe,
        **{key: round(source.recipe[key], 3) for key in ("csd_before", "csd_after")},
        "samples": f"all {method.per_class} collapsed to one, kept once",
    }
    return replace(
        bank,
        delta=np.ascontiguousarray(bank.delta[:, :1]),
        provenance=replace(source, recipe=recipe),
    )


def tue_of(learner: SslName) -> Tue:
    """The search for a bank: `ue protect`'s recipe for CPUs, in ten rounds that cross the ball."""
    recipe = tue("small", learner, cells=8, per_class=16)
    return replace(recipe, max_rounds=10, steps=2, step=1.6)


def make_learned(
    data: Path, classes: Sequence[str], per_class: int, method: Learner, seed: int
) -> Bank:
    """A bank that is learned on the first files of every class, by name.

    Args:
        data: holds ``train/CLASS/*``.
        classes: their names.
        per_class: files of each.
        method: the search.
        seed: of it.
    """
    files = first_files(data / "train", classes, per_class)
    images, labels = load(files, classes, method.size)
    return method.optimise(
        images,
        labels,
        classes,
        BUDGET,
        seed=seed,
        on_step=lambda step, steps, value: print(f"{step}/{steps}: {value:.3f}", flush=True),
    ).bank


def publish(bank: Bank, folder: Path, **fields: Any) -> Card:
    """Write a bank and its card.

    Args:
        bank: what is published.
        folder: where; a card that is there lends its measurements if the bank is still the same.
        fields: of `Card` that the bank does not tell.
    """
    path = folder / f"{fields['name']}.safetensors"
    save_bank(bank, path)
    path.chmod(0o644)
    source = bank.provenance
    card = Card(
        **fields,
        method=source.method,
        space=source.space,
        recipe=source.recipe,
        levels=bank.budget.levels,
        shape=tuple(bank.delta.shape),
        classes=bank.classes,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        created_by=source.created_by,
        measured=(),
        limits=LIMITS if bank.delta.shape[1] == 1 else (*LIMITS[:2], _SEVERAL, *LIMITS[3:]),
        licence="MIT",
    )
    where = path.with_suffix(CARD_SUFFIX)
    if where.exists() and (old := read_card(where)).sha256 == card.sha256:
        card = replace(card, measured=old.measured)
    write_card(card, where)
    return read_card(where)


def make(
    name: str, data: Path, per_class: int, seed: int, folder: Path, published: bool = False
) -> Card:
    """One of `NAMES`, with its card."""
    if name in CSD:
        dataset, classes = CSD[name]
        return publish(
            make_csd(name, classes),
            folder,
            name=name,
            dataset=dataset,
            seed=SEED,
            data="none: from the public seed and the names of the classes alone",
        )
    dataset = PUE.get(name, "cifar10")
    classes = tuple(class_names(data, dataset))
    title = "CIFAR-10" if dataset == "cifar10" else "Tiny-ImageNet"
    scale = "the published setting" if published else "a small scale, for a CPU"
    method: Learner = Pue.paper() if published else Pue()
    if name in TUE:
        method = tue_of(TUE[name])
        scale += f"; the surrogate: {SSL_TITLES[TUE[name]]}, a small ResNet"
    return publish(
        make_learned(data, classes, per_class, method, seed),
        folder,
        name=name,
        dataset=dataset,
        seed=str(seed),
        data=f"the first {per_class} training files of each of {len(classes)} classes of {title}, "
        f"by name, at 32 pixels; {scale}",
    )


def main() -> None:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", choices=NAMES, nargs="+")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--per-class", type=int, default=500, help="pue, tue: files of each class.")
    parser.add_argument("--seed", type=int, default=0, help="pue, tue: of the search; public.")
    parser.add_argument("--out", type=Path, default=BUNDLE)
    parser.add_argument("--published", action="store_true", help="pue: the paper's setting.")
    a = parser.parse_args()
    if a.published and not (set(a.names) <= set(PUE) and a.out.resolve() != BUNDLE):
        parser.error("--published is of pue-… alone, and needs an --out outside of the bundle")
    torch.set_num_threads(1)  # the order of a sum depends on how many there are
    for name in a.names:
        card = make(name, a.data, a.per_class, a.seed, a.out, a.published)
        print(f"{card.file}  {card.bytes:,} bytes  SHA-256 {card.sha256}", flush=True)


if __name__ == "__main__":
    main()
