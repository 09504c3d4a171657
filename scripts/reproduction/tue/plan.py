"""What TUE's tables consist of: scales, arms, tables, and every recipe in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from reproduction.grid.plan import settings_of
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.em import SMALL, Em
from ue_cli.methods.pue import Pue
from ue_cli.methods.tue import Tue
from ue_cli.methods.tue_presets import released, tue
from ue_cli.training.architectures import VictimName
from ue_cli.training.ssl_recipes import SSL_NAMES, SslName, SslRecipe, small_ssl, ssl_recipe
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import victim_recipe
from ue_cli.types import Budget

BUDGET = Budget(8)
SIDE = 32
"""Of CIFAR-10's images; as many cells per side are one per pixel, as published."""

SIDES: Mapping[str, int] = {"cifar10": SIDE, "tiny-imagenet-10": 64}
"""Every perturbation is made on the first; the other one is for transfer."""

Victim = Literal["supervised", "simclr", "moco", "simsiam"]
VICTIMS: tuple[Victim, ...] = ("supervised", *SSL_NAMES)


@dataclass(frozen=True, kw_only=True)
class RandomCodes:
    """One pattern of random signs per class: the baseline that CSD has to beat.

    Attributes:
        cells: of a pattern, per side.
    """

    cells: int


@dataclass(frozen=True, kw_only=True)
class Texture:
    """What `ue protect` does by default.

    Attributes:
        settings: of the tool, as JSON.
    """

    settings: Mapping[str, Any]


Maker = RandomCodes | Texture | PixelCsd | Tue | Em


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
        tue_changes={"max_rounds": 12, "batches": 40, "steps": 1, "step": 2.0},
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


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to protect files.

    Attributes:
        name: of it.
        about: it, in a line.
        maker: with every setting; None: the originals.
    """

    name: str
    about: str
    maker: Maker | None

    @property
    def settings(self) -> dict[str, Any] | None:
        """Every setting, as a row has it."""
        if self.maker is None:
            return None
        made: dict[str, Any] = as_json({"maker": type(self.maker).__name__, **asdict(self.maker)})
        return made

    @property
    def has_patterns(self) -> bool:
        """Whether it is a set of patterns, which can be swapped and transferred."""
        return self.maker is not None and not isinstance(self.maker, Texture)


def arms_of(scale: Scale) -> dict[str, Arm]:
    """All arms of a scale, the control first."""
    each = scale.per_class
    arms = [
        Arm(name="clean", about="the originals: the control", maker=None),
        *(
            Arm(
                name=f"random-{cells}",
                about=f"random signs per class, {cells} × {cells} cells: what CSD has to beat",
                maker=RandomCodes(cells=cells),
            )
            for cells in (SIDE, 8, 4)
        ),
        Arm(
            name="texture",
            about="class textures chosen by CSD: the default of `ue protect`",
            maker=Texture(settings=settings_of("csd") or {}),
        ),
        Arm(
            name=f"csd-{SIDE}-image",
            about="CSD alone, a δ per image, a value per pixel (as published), the full gradient",
            maker=PixelCsd(cells=SIDE, per_class=each),
        ),
        Arm(
            name=f"csd-{SIDE}-image-released",
            about="the same with the released code's gradient, which the spreads are cut out of",
            maker=PixelCsd(cells=SIDE, per_class=each, gradient="released"),
        ),
        Arm(
            name=f"csd-{SIDE}-class",
            about="CSD alone, one δ per class, a value per pixel; the released gradient, as the "
            "full one is 0 where a class has one δ",
            maker=PixelCsd(cells=SIDE, per_class=1, gradient="released"),
        ),
        *(
            Arm(
                name=f"csd-{cells}-image",
                about=f"CSD alone, a δ per image of {cells} × {cells} cells, the full gradient",
                maker=PixelCsd(cells=cells, per_class=each),
            )
            for cells in (8, 4)
        ),
        Arm(
            name="csd-8-image-released",
            about="a δ per image of 8 × 8 cells, the released gradient",
            maker=PixelCsd(cells=8, per_class=each, gradient="released"),
        ),
        Arm(
            name="csd-8-class",
            about="CSD alone, one δ per class of 8 × 8 cells, the released gradient",
            maker=PixelCsd(cells=8, per_class=1, gradient="released"),
        ),
        Arm(
            name="em",
            about="error-minimising noise per image and pixel (Huang et al., ICLR 2021)",
            maker=replace(scale.em, cells=SIDE, per_class=each),
        ),
        *(
            Arm(
                name=f"tue-{learner}",
                about=f"TUE with {learner} (eq. 5): the contrastive loss and CSD",
                maker=tue_of(scale, learner),
            )
            for learner in SSL_NAMES
        ),
        *(
            Arm(
                name=f"ucl-{learner}",
                about=f"the contrastive loss of {learner} without CSD (λ = 0)",
                maker=replace(tue_of(scale, learner), contrastive=1.0, separation=0.0),
            )
            for learner in SSL_NAMES
        ),
    ]
    arms += [
        Arm(
            name=f"targeted-{learner}",
            about=f"features of {learner} moved to the next class's (ours), without CSD",
            maker=targeted_of(scale, learner),
        )
        for learner in SSL_NAMES
    ]
    if scale.ssl == "published":
        arms += [
            Arm(
                name=f"released-{learner}",
                about=f"TUE with {learner}, every setting as the authors' code has it",
                maker=released(learner, SIDE, each),
            )
            for learner in SSL_NAMES
        ]
    return {arm.name: arm for arm in arms}


def tue_of(scale: Scale, learner: SslName) -> Tue:
    """Eq. 5 with both terms, a δ per image, a value per pixel."""
    preset: Literal["small", "paper"] = "small" if scale.ssl == "small" else "paper"
    recipe = tue(preset, learner, cells=SIDE, per_class=scale.per_class)
    ssl = replace(recipe.ssl, **scale.surrogate_changes)
    return replace(recipe, ssl=ssl, contrastive=1.0, **scale.tue_changes)


def targeted_of(scale: Scale, learner: SslName) -> Tue:
    """The third term alone, against an encoder that is small at every scale."""
    recipe = tue("targeted", learner, cells=SIDE, per_class=scale.per_class)
    ssl = replace(recipe.ssl, **scale.surrogate_changes)
    return replace(recipe, ssl=ssl, **scale.targeted_changes)


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
