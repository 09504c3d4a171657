"""Contrastive learners by name, and how each trains. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ue_cli.errors import unknown_name

SslName = Literal["simclr", "moco", "simsiam"]

SSL_NAMES: tuple[SslName, ...] = get_args(SslName)

SSL_TITLES: dict[SslName, str] = {
    "simclr": "SimCLR (Chen et al., ICML 2020)",
    "moco": "MoCo v2 (He et al., CVPR 2020; Chen et al., 2020)",
    "simsiam": "SimSiam (Chen & He, CVPR 2021)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SslRecipe:
    """Everything that decides a training without labels besides the images and the seed.

    Attributes:
        ssl: the objective.
        net: ``small`` (a `nets.SmallResNet` of the next three) or ``resnet18``.
        widths: channels per stage.
        blocks: blocks per stage.
        stem_stride: of its first convolution.
        size: side of what the network sees, in pixels.
        batch: images per step; each is seen twice.
        epochs: passes over the images.
        lr: learning rate, of the first step where it decays.
        optimiser: ``adam`` or ``sgd``.
        momentum: of SGD.
        weight_decay: on all parameters, as released.
        schedule: ``constant``, or ``cosine`` down to 0, step by step.
        temperature: of SimCLR and MoCo.
        projection: width of the projection head's hidden layer and of its output.
        predictor: width of SimSiam's bottleneck.
        queue: MoCo's earlier keys (K).
        key_momentum: MoCo's m: the key encoder becomes m of itself and 1 − m of the query encoder.
        norm_splits: parts of a batch that MoCo's BatchNorm normalises apart, as on so many GPUs.
        symmetric: MoCo: each view is query once and key once, and the two losses are averaged.
        min_scale: smallest share of the area of a crop.
        jitter: reach of brightness, contrast, saturation (factors in 1 ± that) and hue (turns).
        jittered: share of the views whose colours change.
        gray: share of the views without colour.
    """

    ssl: SslName
    net: Literal["small", "resnet18"] = "resnet18"
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    stem_stride: int = 2
    size: int = 32
    batch: int = 512
    epochs: int = 1000
    lr: float
    optimiser: Literal["adam", "sgd"] = "sgd"
    momentum: float = 0.9
    weight_decay: float
    schedule: Literal["constant", "cosine"] = "constant"
    temperature: float = 0.5
    projection: tuple[int, int] = (512, 128)
    predictor: int = 512
    queue: int = 4096
    key_momentum: float = 0.99
    norm_splits: int = 1
    symmetric: bool = False
    min_scale: float = 0.2
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    jittered: float = 0.8
    gray: float = 0.2


SSL_RECIPES: dict[SslName, SslRecipe] = {
    "simclr": SslRecipe(ssl="simclr", lr=1e-3, optimiser="adam", weight_decay=1e-6, min_scale=0.08),
    "moco": SslRecipe(ssl="moco", lr=0.3, weight_decay=1e-4, temperature=0.2, norm_splits=8),
    "simsiam": SslRecipe(ssl="simsiam", lr=0.06, weight_decay=5e-4, projection=(2048, 2048)),
}
"""ResNet-18 on CIFAR as TUE (Ren et al., ICLR 2023) trains it, surrogates and victims.

Batches of 512, constant rates, 1,000 epochs. Heads are those of each paper, SimSiam's of its
appendix D; crops are of 8 % of the area and more for SimCLR and of 20 % for the others, as in
their papers.
"""

_SMALL = {"net": "small", "batch": 128, "epochs": 60, "schedule": "cosine", "min_scale": 0.2}
_NARROW: dict[SslName, dict[str, object]] = {
    "simclr": {"projection": (128, 64)},
    "moco": {"projection": (128, 64), "lr": 0.06, "queue": 1024, "norm_splits": 4},
    "simsiam": {"projection": (256, 256), "predictor": 64, "lr": 0.2},
}


def find_ssl(name: str) -> SslName:
    """The learner of that name.

    Raises:
        UeError: ``ssl-unknown``; the hint lists what there is, the closest first.
    """
    for learner in SSL_NAMES:
        if learner == name:
            return learner
    raise unknown_name(
        "ssl-unknown", f"There is no contrastive learner {name!r} here.", name, SSL_NAMES
    )


def ssl_recipe(name: str) -> SslRecipe:
    """A learner with ResNet-18, as published.

    Raises:
        UeError: ``ssl-unknown``.
    """
    return SSL_RECIPES[find_ssl(name)]


def small_ssl(name: str) -> SslRecipe:
    """A learner that a CPU can afford: a small ResNet, narrow heads, batches of 128.

    SimSiam's rate is far above its paper's rule, which is made for 800 epochs. After 8 epochs on
    5,000 CIFAR-10 images (widths halved, one seed, 2,000 test images) its linear probe has 37.1 %
    at 0.2 and 35.1 % at 0.06, MoCo's 38.2 %, and a random encoder's 31.6 %.

    Raises:
        UeError: ``ssl-unknown``.
    """
    learner = find_ssl(name)
    return replace(SSL_RECIPES[learner], **_SMALL | _NARROW[learner])  # type: ignore[arg-type]
