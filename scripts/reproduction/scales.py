"""PUE's experiment at three scales, and what was published."""

from __future__ import annotations

from dataclasses import dataclass

from ue_cli.methods.em import SMALL, Em
from ue_cli.methods.pue import Pue
from ue_cli.training.supervised import VictimRecipe

ARMS = ("clean", "random", "csd", "em", "pue")
"""Unprotected; random signs in PUE's own cells; class textures of the tool; EM; PUE."""

PUBLISHED = {
    "source": "Wang et al., Provably Unlearnable Data Examples, NDSS 2025; Ren et al., "
    "Transferable Unlearnable Examples, ICLR 2023, for CIFAR-10 with ResNet-18, 200 epochs",
    "pue_lower_clean_test_score_points": {"at_most": 54.4, "data": "CIFAR-100"},
    "pue_lower_certified_learnability_points": {"at_most": 18.9, "data": "ImageNet"},
    "clean_accuracy": 0.9379,
    "em_accuracy": 0.1474,
    "certificate": {"sigma": 0.25, "q": 0.9, "draws": 1000, "confidence": 0.99},
}
"""What the papers say, and no more; their settings are others than those of the small scales."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the experiment is.

    Attributes:
        per_class: training images per class.
        tests: test images per class, for victims.
        certified_tests: of these, for certificates and the recovery attack.
        victim: which is the offline surrogate, too.
        em, pue: the generators.
        draws: N of each certificate.
        sigmas: from which the relative noise is chosen, on the clean control.
        attack_epochs: of the recovery attack on the clean images that it has.
        attack_share: which share of the clean training images that is.
    """

    per_class: int
    tests: int
    certified_tests: int
    victim: VictimRecipe
    em: Em
    pue: Pue
    draws: int
    sigmas: tuple[float, ...]
    attack_epochs: int
    attack_share: float = 0.2


_TINY = VictimRecipe(size=32, augment="shift", epochs=2, batch=32, widths=(8, 16))
_SMALL = VictimRecipe(size=32, augment="shift", epochs=14, widths=SMALL.widths)
_LARGE = VictimRecipe(size=32, augment="shift", epochs=200, batch=128, net="resnet18")

SCALES = {
    "smoke": Scale(
        per_class=20,
        tests=10,
        certified_tests=10,
        victim=_TINY,
        em=Em(surrogate=_TINY, batches=2, max_rounds=2),
        pue=Pue(surrogate=_TINY, batches=2, max_rounds=3, noise_levels=(0.0, 0.2), draws=2),
        draws=50,
        sigmas=(0.05, 0.2),
        attack_epochs=1,
    ),
    "cpu": Scale(
        per_class=500,
        tests=100,
        certified_tests=50,
        victim=_SMALL,
        em=Em(),
        pue=Pue(),
        draws=200,
        sigmas=(0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.35, 0.5),
        attack_epochs=5,
    ),
    "paper": Scale(
        per_class=5000,
        tests=1000,
        certified_tests=1000,
        victim=_LARGE,
        em=Em(surrogate=Pue.paper().surrogate, cells=32, max_rounds=50),
        pue=Pue.paper(),
        draws=1000,
        sigmas=(0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.35, 0.5),
        attack_epochs=20,
    ),
}
