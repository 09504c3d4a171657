"""How large TUE's tables are: the scales, and the recipes of victims and surrogates at each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ue_cli.methods.em import SMALL, Em
from ue_cli.methods.pue import Pue
from ue_cli.training.architectures import VictimName
from ue_cli.training.ssl_recipes import SSL_NAMES, SslRecipe, small_ssl, ssl_recipe
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import victim_recipe
from ue_cli.types import Budget

BUDGET = Budget(8)
SIDE = 32
"""Of CIFAR-10's images; as many cells per side are one per pixel, as published."""

SIDES: Mapping[str, int] = {"cifar10": SIDE, "tiny-imagenet-10": 64}
"""Every perturbation is made on the first; the other one is for transfer."""

EVEN = 0.002
"""λ at which CSD's slope is as large as that of the contrastive loss, whose weight is 1.

At 1 and 1 it is some 500 times as large (SimCLR, 2,000 CIFAR-10 images, a value per pixel, batches
of 128, a random start): the surrogate then decides the sign of next to no value, and what it is
worth cannot be seen.
"""

Victim = Literal["supervised", "simclr", "moco", "simsiam"]
VICTIMS: tuple[Victim, ...] = ("supervised", *SSL_NAMES)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is.

    Attributes:
        classes: of each data set, the first by name; None: all.
        per_class: training images of CIFAR-10, for perturbations and victims.
        tests: clean test images per class that supervised victims are tested on every epoch.
        ssl_tests: and that readouts are tested on, once.
        other_per_class, other_tests: the same of the data set that is transferred to.
        victim: that learns with labels.
        changes: to the recipe that `ue evaluate` would choose for it.
        ssl: whether learners without labels, victims and surrogates, are small or as published.
        ssl_changes: to their recipes as victims.
        surrogate_changes: to their recipes as surrogates.
        tue_changes: to TUE's preset, ``small`` or ``paper``.
        targeted_changes: to its preset ``targeted``.
        em: without its cells and patterns per class.
        arms: that are run unless others are asked for; empty: all.
    """

    classes: int | None = None
    per_class: int
    tests: int
    ssl_tests: int
    other_per_class: int
    other_tests: int
    victim: VictimName = "small"
    changes: Mapping[str, Any]
    ssl: Literal["small", "published"] = "small"
    ssl_changes: Mapping[str, Any]
    surrogate_changes: Mapping[str, Any] = field(default_factory=dict)
    tue_changes: Mapping[str, Any] = field(default_factory=dict)
    targeted_changes: Mapping[str, Any] = field(default_factory=dict)
    em: Em
    arms: tuple[str, ...] = ()


_TINY_NET: dict[str, Any] = {"widths": (8, 16), "batch": 32}
_TINY_SSL: dict[str, Any] = {"widths": (8, 16), "batch": 16}

SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        classes=3,
        per_class=16,
        tests=6,
        ssl_tests=6,
        other_per_class=8,
        other_tests=6,
        changes=_TINY_NET | {"epochs": 1},
        ssl_changes=_TINY_SSL | {"epochs": 1},
        surrogate_changes=_TINY_SSL,
        tue_changes={"max_rounds": 2, "batches": 1, "steps": 1},
        targeted_changes={"max_rounds": 2, "batches": 1, "steps": 1},
        em=Em(
            surrogate=VictimRecipe(size=SIDE, augment="shift", widths=(8, 16), batch=32),
            batches=1,
            max_rounds=2,
        ),
        arms=("clean", "random-8", "texture", "csd-32-image", "em", "tue-simclr"),
    ),
    "cpu": Scale(
        per_class=1000,
        tests=200,
        ssl_tests=1000,
        other_per_class=500,
        other_tests=50,
        changes={"epochs": 20},
        ssl_changes={"epochs": 20},
        tue_changes={
            "max_rounds": 12,
            "batches": 40,
            "steps": 1,
            "step": 2.0,
            "separation": EVEN,
        },
        em=Em(surrogate=SMALL, max_rounds=12),
    ),
    "paper": Scale(
        per_class=5000,
        tests=1000,
        ssl_tests=1000,
        other_per_class=500,
        other_tests=50,
        victim="resnet18",
        changes={"epochs": 200},
        ssl="published",
        ssl_changes={"epochs": 200},
        em=Em(surrogate=Pue.paper().surrogate, max_rounds=50),
    ),
}
"""``cpu`` is a small network on a fifth of CIFAR-10; ``paper`` is the published setting for a GPU,
but for victims without labels, which the paper trains for 1,000 epochs."""


def recipe_of(
    scale: Scale, victim: Victim, dataset: str, train_files: int
) -> VictimRecipe | SslRecipe:
    """How a victim trains on so many files of a data set."""
    if victim == "supervised":
        recipe = victim_recipe(scale.victim, train_files=train_files, side=SIDES[dataset])
        return replace(recipe, **scale.changes)
    make = small_ssl if scale.ssl == "small" else ssl_recipe
    return replace(make(victim), **scale.ssl_changes)


def as_json(value: Any) -> Any:
    """What reading the value back from a JSON file gives."""
    return json.loads(json.dumps(value))
