"""What the grid consists of: scales, arms, and the key of every training in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, get_args

from ue_cli.countermeasures.registry import find, in_tier
from ue_cli.methods.texture_csd import POOL
from ue_cli.pipeline.protection.options import choose_cells, choose_method
from ue_cli.training.architectures import VictimName
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import victim_recipe
from ue_cli.types import Budget, Making

SIDES: Mapping[str, int] = {"cifar10": 32, "tiny-imagenet-10": 64}
"""Pixels of each data set's images, which trainers read as they are."""

LEARNED: tuple[Making, ...] = tuple(name for name in get_args(Making) if name != "csd")
"""Methods that train a surrogate: one arm each, as soon as `ue protect` has them."""

ARMS: tuple[str, ...] = ("clean", "csd", "random", "csd-pixel", *LEARNED)
"""The control; the default textures; textures as drawn; CSD in pixel space; each learned method."""

BUDGET = Budget(8)

SettingsOf = Callable[[str], Mapping[str, Any] | None]
"""From an arm's name to how `ue protect` makes its files, as JSON; None for the clean ones."""


@dataclass(frozen=True, kw_only=True)
class GridScale:
    """How large the grid is.

    Attributes:
        datasets: names in `SIDES`.
        arms: that are run unless others are asked for.
        against: names of countermeasures.
        victim: that trains on every arm's files.
        classes: of each data set, the first by name; None: all.
        per_class: training files of each; None: all.
        tests: clean test images of each; None: all.
        cells: of patterns per side in pixel space; None: the tool's default.
        changes: to the recipe that `ue evaluate` would choose.
    """

    datasets: tuple[str, ...]
    arms: tuple[str, ...] = ARMS
    against: tuple[str, ...]
    victim: VictimName = "small"
    classes: int | None = None
    per_class: int | None = None
    tests: int | None = None
    cells: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


SCALES = {
    "smoke": GridScale(
        datasets=("cifar10", "tiny-imagenet-10"),
        arms=("clean", "csd", "em"),
        against=("none", "rrc-0.35"),
        classes=2,
        per_class=20,
        tests=10,
        changes={"epochs": 2, "widths": (8, 16)},
    ),
    "cpu": GridScale(
        datasets=("cifar10", "tiny-imagenet-10"),
        against=("none", "jpeg-50", "grayscale", "rrc-0.35", "colour-jitter", "high-pass"),
        per_class=100,
        tests=100,
    ),
    "paper": GridScale(
        datasets=("cifar10",),
        against=tuple(spec.name for spec in in_tier("standard") if spec.kind != "readout"),
        victim="resnet18",
        cells=32,
        changes={"epochs": 200},
    ),
}
"""``cpu`` asks for what the default perturbation is chosen by (the worst of its six); ``paper``
trains as long as unlearnable examples are published, with one cell per pixel as they are."""


@dataclass(frozen=True)
class Cell:
    """One training of the grid.

    Attributes:
        dataset, arm, countermeasure, seed: which.
    """

    dataset: str
    arm: str
    countermeasure: str
    seed: int


def cells_of(
    scale: GridScale,
    seeds: Iterable[int],
    *,
    datasets: Sequence[str] = (),
    arms: Sequence[str] = (),
    against: Sequence[str] = (),
) -> Iterator[Cell]:
    """All trainings, those on one arm's files together; what is empty is the scale's own.

    The plain one is the first: others are equal to it, or go on from its weights.

    Raises:
        UeError: no countermeasure has a name of ``against``.
    """
    specs = [find(name) for name in against or scale.against]
    specs.sort(key=lambda spec: (spec.kind == "files", spec.name != "none"))
    for seed, dataset, arm in product(seeds, datasets or scale.datasets, arms or scale.arms):
        for spec in specs:
            yield Cell(dataset, arm, spec.name, seed)


FILLING: dict[str, Any] = {
    "waves": 2,
    "low": 4.0,
    "high": 8.0,
    "gain": 8.0,
    "colours": "blue-yellow",
    "bandwidth": 0.25,
    "code_version": 1,
}
"""The textures of ``--look strong``, as its rows name them: all arms fill the ball here. They were
measured when this was the default, with codes that were not assigned by lot yet."""


def settings_of(arm: str, cells: int | None = None) -> dict[str, Any] | None:
    """How `ue protect` makes an arm's files today, as JSON; None for the clean ones.

    Args:
        arm: of `ARMS`.
        cells: per side, in pixel space; None: the default.
    """
    if arm == "clean":
        return None
    if arm in ("csd", "random"):
        choice = choose_method("csd")
        settings: dict[str, Any] = {
            "method": choice.method,
            "space": choice.space,
            "selection": arm,
        }
        if arm == "csd":
            settings["candidates"] = POOL
        settings |= {"texture": FILLING, "levels": BUDGET.levels}
    else:
        method: Making = next((name for name in LEARNED if name == arm), "csd")
        choice = choose_cells(method, cells=cells)
        settings = {k: v for k, v in asdict(choice).items() if v is not None}
        settings |= {"levels": BUDGET.levels}
    made: dict[str, Any] = as_json(settings)
    return made


def recipe_of(scale: GridScale, train_files: int, side: int) -> VictimRecipe:
    """The victim's hyperparameters: those of `ue evaluate`, with the scale's changes."""
    recipe = victim_recipe(scale.victim, train_files=train_files, side=side)
    return replace(recipe, **scale.changes)


def as_json(value: Any) -> Any:
    """What reading the value back from a JSON file gives."""
    return json.loads(json.dumps(value))
