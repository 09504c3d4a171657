"""How each victim trains: long enough for its data, with the hyperparameters of its papers."""

from __future__ import annotations

import math
from dataclasses import replace

from ue_cli.training.architectures import (
    ARCHITECTURES,
    CLASSIFIERS,
    VictimName,
    find_victim,
    patch_side,
)
from ue_cli.training.backbones import SIZE as PRETRAINED_SIZE
from ue_cli.training.backbones import find_backbone
from ue_cli.training.ssl_recipes import SslRecipe, small_ssl
from ue_cli.training.supervised import VictimRecipe

Recipe = VictimRecipe | SslRecipe
"""Of any victim: with labels, or without."""

STEPS = (2_000, 12_000)
EPOCHS = (10, 30, 300)
"""Fewest, usual and most passes over the files, and between how many steps of a batch they lie.

A short training learns the content first and misses the perturbation: on 800 protected files of
ten Tiny-ImageNet classes (64 pixels, PNG, class textures, 200 test images, one seed) the small
victim ends at 64.0 % after 360 steps, 52.5 % after 1,008 and 27.5 % after 2,016; on the originals
at 63.5 % after 360 and 66.0 % after 1,008.
"""

PRETRAINED_STEPS: dict[VictimName, int] = {"probe": 200, "fine-tune": 500}
"""Fewest steps of what is pretrained; 500 is BiT's for small data sets (ECCV 2020)."""

FEW, FEW_BATCH = 4_000, 32
"""Files up to which victims from scratch step in smaller batches, at the rate that goes with them.

As many steps take that much less time: ResNet-18 needs 0.7 s of one core for 32 files of 32 pixels.
On such files (2,000 steps, one seed) the small one ends at 38.0 % like that and at 38.5 % in
batches of 64, on the originals at 69.5 % and 69.0 %, for 156 and 276 s of one core. Reading 32
instead of 48 pixels, it misses the perturbation (55.0 %).
"""

ENCODER_STEPS = (1_000, 12_000)
ENCODER_EPOCHS = (20, 60, 1_000)
"""As `STEPS` and `EPOCHS`, of encoders, whose steps see twice 128 views.

As many epochs as Ren et al. (ICLR 2023) train are the most. How long is long enough has not been
measured: a control that stays at its floor says that it was not.
"""

READOUTS = 10
"""How often an encoder is read out, so that an adversary can stop early: it costs a tenth."""

_SGD = VictimRecipe(batch=128)
_DEIT_RATE, _DEIT_BATCH = 1e-3, 1_024
_VIT = VictimRecipe()
RECIPES: dict[VictimName, VictimRecipe] = {
    "small": VictimRecipe(),
    "resnet18": replace(_SGD, net="resnet18"),
    "resnet50": replace(_SGD, net="resnet50"),
    "densenet121": replace(_SGD, net="densenet121"),
    "vit-tiny": replace(
        _VIT,
        net="vit-tiny",
        lr=_DEIT_RATE * math.sqrt(_VIT.batch / _DEIT_BATCH),
        weight_decay=0.05,
    ),
    "probe": VictimRecipe(net="probe", size=PRETRAINED_SIZE, weight_decay=0.0),
    "fine-tune": VictimRecipe(net="fine-tune", size=PRETRAINED_SIZE, lr=0.01),
}
"""Hyperparameters that depend on the network alone; epochs and sizes are `victim_recipe`'s.

ResNets and DenseNet: SGD at 0.1 with momentum 0.9, weight decay 5e-4, a cosine and batches of 128,
as unlearnable examples are published (Wang et al., NDSS 2025). ViT-Tiny: AdamW with weight decay
0.05 and 1e-3 for batches of 1,024 (DeiT, Touvron et al., ICML 2021, table 9), the rate scaled with
the square root of the batch (Malladi et al., NeurIPS 2022). A probe's head learns at 0.1 without
decay (MAE, He et al., CVPR 2022, A.1); fine-tuning goes on at 0.01, the middle of what Kornblith
et al. (CVPR 2019) search. All with the trainer's linear warm-up.
"""


def recipe_of(name: str, *, train_files: int, side: int) -> Recipe:
    """Of any of `architectures.VICTIMS`: `victim_recipe` or `encoder_recipe`.

    Args:
        name: of the victim.
        train_files: that it trains on.
        side: of the squares that it reads, in pixels.

    Raises:
        UeError: ``victim-unknown``; ``backbone-missing``.
    """
    victim = find_victim(name)
    make = encoder_recipe if ARCHITECTURES[victim].encoder else victim_recipe
    return make(victim, train_files=train_files, side=side)


def encoder_recipe(name: str, *, train_files: int, side: int) -> SslRecipe:
    """An encoder for CPUs (`small_ssl`) that learns without labels, long enough for its data.

    60 epochs; more (up to 1,000) for few files, so that there are 1,000 steps; fewer (down to 20)
    for many, so that there are at most 12,000. Its views have the sides of a classifier's. MoCo
    keeps the keys of half of the files at most, or of one batch where that is more, so that an
    image seldom meets one of its own.

    Args:
        name: of the learner.
        train_files: that it learns from.
        side: of the squares that it reads, in pixels.

    Raises:
        UeError: ``ssl-unknown``.
    """
    recipe = small_ssl(name)
    steps = max(1, train_files // recipe.batch)
    return replace(
        recipe,
        epochs=_epochs(steps, ENCODER_STEPS, ENCODER_EPOCHS),
        size=side if side <= 32 else _cropped(side),
        queue=min(recipe.queue, max(recipe.batch, train_files // 2)),
    )


def victim_recipe(name: str, *, train_files: int, side: int) -> VictimRecipe:
    """One of `architectures.CLASSIFIERS`, trained long enough for its data.

    30 epochs; more (up to 300) for few files, so that there are 2,000 steps of a batch; fewer
    (down to 10) for many, so that there are at most 12,000 steps. Few files are stepped on in
    small batches. Images of up to 32 pixels are shifted and mirrored; larger ones are cropped to
    three quarters of their side (RandomResizedCrop) and mirrored. ViT-Tiny's crops have the
    nearest multiple of its patches. Pretrained networks see crops at 224 pixels, for as few steps
    as they need.

    Args:
        name: of the victim.
        train_files: that it trains on.
        side: of the squares that it reads, in pixels.

    Raises:
        UeError: ``victim-unknown``; ``backbone-missing``: no pretrained weights are on the disk.
    """
    recipe = RECIPES[find_victim(name, CLASSIFIERS)]
    architecture = ARCHITECTURES[recipe.net]
    if train_files <= FEW and not architecture.pretrained:
        share = FEW_BATCH / recipe.batch
        rate = share if architecture.optimiser == "sgd" else math.sqrt(share)
        recipe = replace(recipe, batch=FEW_BATCH, lr=recipe.lr * rate)
    steps = max(1, train_files // recipe.batch)
    if recipe.net in PRETRAINED_STEPS:
        fewest, _, most = EPOCHS
        epochs = min(max(fewest, math.ceil(PRETRAINED_STEPS[recipe.net] / steps)), most)
        return replace(recipe, epochs=epochs, backbone=find_backbone().name)
    epochs = _epochs(steps, STEPS, EPOCHS)
    if side <= 32 and (name != "vit-tiny" or side % patch_side(side) == 0):
        return replace(recipe, epochs=epochs, size=side, augment="shift", reach=max(1, side // 8))
    size = _cropped(side)
    if name == "vit-tiny":
        size = max(1, round(size / patch_side(size))) * patch_side(size)
    return replace(recipe, epochs=epochs, size=size)


def _epochs(steps: int, bounds: tuple[int, int], epochs: tuple[int, int, int]) -> int:
    """As many as there are usually, but for the fewest and most steps of all, if within reach."""
    fewest, usual, most = epochs
    wanted = min(max(usual, math.ceil(bounds[0] / steps)), most)
    return max(min(wanted, bounds[1] // steps), fewest)


def _cropped(side: int) -> int:
    """Three quarters of a side, as a multiple of 8: networks halve it three times."""
    return 8 * round(side * 0.75 / 8)
