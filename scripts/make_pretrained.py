"""Make a bundled perturbation and its card.

    python scripts/make_pretrained.py csd-cifar10
    python scripts/make_pretrained.py pue-cifar10 tue-simclr-cifar10 --data DATA
    python scripts/make_pretrained.py tue-simclr-cifar10 --data DATA --sample-wise --out BANKS

``csd-…`` need no images: every class's start follows from a public seed, the bank's name and the
class's, and the released gradient collapses a class's samples to one pattern. ``pue-…`` and
``tue-…`` train a surrogate on DATA, which holds ``train/CLASS/*`` of CIFAR-10 and of ten
Tiny-ImageNet classes side by side. Bundled TUE has 16 coarse patterns per class; ``--sample-wise``
makes what is published, a pattern per file and pixel, too large to be bundled. The same call gives
the same bytes; what is learned in floating point does so on the same machine and versions. What a
card has of measurements is kept only where the bank stays the same.
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
from PIL import Image

from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.pue import Pue
from ue_cli.methods.search import Learner
from ue_cli.methods.tue import Tue
from ue_cli.methods.tue_presets import tue
from ue_cli.perturbation.bank import save_bank
from ue_cli.perturbation.cardfile import read_card, write_card
from ue_cli.perturbation.cards import CARD_SUFFIX, Card, file_sha256
from ue_cli.training.ssl_recipes import SSL_NAMES, SSL_TITLES, SslName
from ue_cli.types import Bank, Budget

BUDGET = Budget(8)
BUNDLE = Path(__file__).resolve().parent.parent / "pretrained"
SEED = "ue-pretrained/1"
"""Public; the number is that of the way from it to the banks."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
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
    seeds = {one: sha256("\0".join((SEED, name, one)).encode()).digest() for one in classes}
    made = method.optimise(classes, seeds, BUDGET)
    if not (made.delta == made.delta[:, :1]).all():
        raise RuntimeError("some class has not collapsed to one pattern: take more steps")
    source = made.provenance
    # Rounded: the last digits of a sum are the machine's own.
    recipe = {
        **source.recipe,
        **{key: round(source.recipe[key], 3) for key in ("csd_before", "csd_after")},
        "samples": f"all {method.per_class} collapsed to one, kept once",
    }
    return replace(
        made,
        delta=np.ascontiguousarray(made.delta[:, :1]),
        provenance=replace(source, recipe=recipe),
    )


def tue_of(learner: SslName, files: int | None) -> Tue:
    """The search for a bank: `ue protect`'s recipe for CPUs, in ten rounds that cross the ball.

    Args:
        learner: of the surrogate.
        files: of each class, to have a pattern per file and pixel; None: 16 coarse ones per class.
    """
    cells, per_class = (8, 16) if files is None else (32, files)
    recipe = tue("small", learner, cells=cells, per_class=per_class)
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
    files = [
        (path, index)
        for index, name in enumerate(classes)
        for path in sorted((data / "train" / name).iterdir())[:per_class]
    ]
    side = method.size
    images = np.empty((len(files), side, side, 3), np.uint8)
    for at, (path, _) in enumerate(files):
        with Image.open(path) as opened:
            image = opened.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        images[at] = np.asarray(image)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([index for _, index in files])
    return method.optimise(
        pixels,
        labels,
        classes,
        BUDGET,
        seed=seed,
        on_step=lambda done, most, seen: print(f"{done}/{most}: {seen:.3f}", flush=True),
    ).bank


def publish(bank: Bank, folder: Path, **said: Any) -> Card:
    """Write a bank and its card.

    Args:
        bank: what is published.
        folder: where; a card that is there lends its measurements if the bank is still the same.
        said: the fields of `Card` that the bank does not tell.
    """
    path = folder / f"{said['name']}.safetensors"
    save_bank(bank, path)
    path.chmod(0o644)
    source = bank.provenance
    card = Card(
        **said,
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
    name: str, data: Path, per_class: int, seed: int, folder: Path, sample_wise: bool = False
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
    there = sorted(path.name for path in (data / "train").iterdir())
    classes = tuple(one for one in there if (one in CIFAR10) == (dataset == "cifar10"))
    title = "CIFAR-10" if dataset == "cifar10" else "Tiny-ImageNet"
    scale = "a small scale, for a CPU"
    method: Learner = Pue()
    if name in TUE:
        method = tue_of(TUE[name], per_class if sample_wise else None)
        scale += f"; the surrogate: {SSL_TITLES[TUE[name]]}, a small ResNet"
    return publish(
        make_learned(data, classes, per_class, method, seed),
        folder,
        name=f"{name}-sample-wise" if sample_wise else name,
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
    parser.add_argument(
        "--sample-wise", action="store_true", help="tue: a pattern per file and pixel; not bundled."
    )
    a = parser.parse_args()
    if a.sample_wise and not (set(a.names) <= set(TUE) and a.out.resolve() != BUNDLE):
        parser.error("--sample-wise is of tue-… alone, and needs an --out outside of the bundle")
    torch.set_num_threads(1)  # the order of a sum depends on how many there are
    for name in a.names:
        card = make(name, a.data, a.per_class, a.seed, a.out, a.sample_wise)
        print(f"{card.file}  {card.bytes:,} bytes  SHA-256 {card.sha256}", flush=True)


if __name__ == "__main__":
    main()
