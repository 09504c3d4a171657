"""Methods against conditions on files on disk: each piece is one training, and one row.

A condition is a countermeasure under which a victim learns from the labels, or a learner without
labels, whose encoder is read out by a probe. TUE's table of both is a part of the grid.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from folders import Quiet, class_names, first_files, protect_folder
from PIL import Image
from store import Row, Store, as_json, once

from ue_cli.countermeasures.registry import find, in_tier
from ue_cli.datasets.dataset import Dataset, read_dataset
from ue_cli.evaluation.files import Arrays, Source, load_arrays
from ue_cli.evaluation.recovered import recover_each
from ue_cli.evaluation.work import counted
from ue_cli.textures.choice import POOL
from ue_cli.training.architectures import VictimName
from ue_cli.training.ssl_recipes import SSL_NAMES, SslName, SslRecipe, ssl_recipe
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import recipe_of
from ue_cli.trials.cache import TRAINING_VERSION
from ue_cli.trials.running import Trial, run_trials
from ue_cli.types import STRONG, Budget, Training, TuePreset

SIDES: Mapping[str, int] = {"cifar10": 32, "tiny-imagenet-10": 64}
"""Pixels of each data set's images, which trainers read as they are."""

BUDGET = Budget(8)

Recipe = VictimRecipe | SslRecipe

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

_TEXTURE = {"method": "csd", "space": "texture", "texture": FILLING, "levels": BUDGET.levels}
_PIXEL = {"space": "pixel", "cells": 8, "gradient": "paper", "per": "class"}
_PIXEL |= {"levels": BUDGET.levels}


def _tue(learner: SslName, csd_weight: float = 1.0, preset: TuePreset = "small") -> dict[str, Any]:
    """Eq. 5 with a pattern per photo."""
    weights = {"contrastive_weight": 1.0, "csd_weight": csd_weight}
    if preset == "targeted":
        weights = {"contrastive_weight": 0.0, "csd_weight": 0.0}
    tue = {"method": "tue", "per": "photo", "preset": preset, "surrogate": learner}
    return {**_PIXEL, **tue, **weights}


ARMS: Mapping[str, Mapping[str, Any] | None] = {
    "clean": None,
    "csd": {**_TEXTURE, "selection": "csd", "candidates": POOL},
    "random": {**_TEXTURE, "selection": "random"},
    "csd-pixel": {**_PIXEL, "method": "csd"},
    "pue": {**_PIXEL, "method": "pue"},
    "em": {**_PIXEL, "method": "em"},
    "tue": _tue("simclr"),
    **{f"tue-{name}": _tue(name) for name in SSL_NAMES if name != "simclr"},
    **{f"ucl-{name}": _tue(name, csd_weight=0.0) for name in SSL_NAMES},
    **{f"targeted-{name}": _tue(name, preset="targeted") for name in SSL_NAMES},
}
"""How `ue protect` makes each arm's files; None: the control. It is in the key of every row."""

USUAL = ("clean", "csd", "random", "csd-pixel", "pue", "em", "tue")
"""Arms that are run unless others are asked for."""

_NO_OPTIONS = ("candidates", "texture", "levels", "sha256")
"""Settings that `ProtectOptions` has under another name, or that a run is held against."""

Settings = Callable[[str], Mapping[str, Any] | None]
"""From an arm's name to what its rows have of it."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the grid is.

    Attributes:
        datasets: names in `SIDES`.
        arms: that are run unless others are asked for.
        against: names of conditions.
        victim: that learns from the labels of every arm's files.
        classes: of each data set, the first by name; None: all.
        per_class: training files of each; None: all.
        tests: clean test images of each; None: all.
        cells: of patterns per side in pixel space.
        published: whether TUE and learners without labels have the paper's recipes, for a GPU.
        changes: to the recipe that `ue evaluate` would choose.
    """

    datasets: tuple[str, ...] = tuple(SIDES)
    arms: tuple[str, ...] = USUAL
    against: tuple[str, ...]
    victim: VictimName = "small"
    classes: int | None = None
    per_class: int | None = None
    tests: int | None = None
    cells: int = 8
    published: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, arm: str) -> dict[str, Any] | None:
        """How an arm's files are made today; None for the clean ones."""
        settings = ARMS[arm]
        if settings is None:
            return None
        settings = dict(settings)
        if "cells" in settings:
            settings["cells"] = self.cells
        if self.published and settings.get("preset") == "small":
            settings["preset"] = "paper"
        return settings

    def recipe(self, condition: str, train_files: int, side: int) -> Recipe:
        """The victim's hyperparameters: those of `ue evaluate`, with the scale's changes."""
        name = condition if condition in SSL_NAMES else self.victim
        recipe = recipe_of(name, train_files=train_files, side=side)
        if self.published and name in SSL_NAMES:
            recipe = ssl_recipe(name)
        return replace(recipe, **self.changes)


SCALES = {
    "smoke": Scale(
        arms=("clean", "csd", "em"),
        against=("none", "rrc-0.35"),
        classes=2,
        per_class=20,
        tests=10,
        changes={"epochs": 2, "widths": (8, 16)},
    ),
    "cpu": Scale(
        against=("none", "jpeg-50", "grayscale", "rrc-0.35", "colour-jitter", "high-pass"),
        per_class=100,
        tests=100,
    ),
    "paper": Scale(
        datasets=("cifar10",),
        against=tuple(spec.name for spec in in_tier("standard") if spec.kind != "readout"),
        victim="resnet18",
        cells=32,
        published=True,
        changes={"epochs": 200},
    ),
}
"""``cpu`` asks for what the default perturbation is chosen by (the worst of its six); ``paper``
trains as long as unlearnable examples are published, with one cell per pixel as they are."""


@dataclass(frozen=True)
class Cell:
    """One training of the grid.

    Attributes:
        dataset, arm, seed: which.
        countermeasure: the condition, by the name that rows have for it.
    """

    dataset: str
    arm: str
    countermeasure: str
    seed: int


def cells_of(
    scale: Scale,
    seeds: Iterable[int],
    *,
    datasets: Sequence[str] = (),
    arms: Sequence[str] = (),
    against: Sequence[str] = (),
) -> Iterator[Cell]:
    """All trainings, those on one arm's files together; what is empty is the scale's own.

    The plain one is the first: others are equal to it, or go on from its weights.

    Raises:
        UeError: no condition has a name of ``against``.
    """
    conditions = sorted(
        against or scale.against, key=lambda name: (kind_of(name) == "files", name != "none")
    )
    for seed, dataset, arm in product(seeds, datasets or scale.datasets, arms or scale.arms):
        for condition in conditions:
            yield Cell(dataset, arm, condition, seed)


def kind_of(condition: str) -> str:
    """The kind of a countermeasure, or ``learner``."""
    return "learner" if condition in SSL_NAMES else find(condition).kind


class Files:
    """Folders of one scale, made once and kept.

    Args:
        name: of the scale.
        scale: its sizes.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        work: where they lie.
        jobs: processes that read and protect.
    """

    def __init__(self, name: str, scale: Scale, data: Path, work: Path, jobs: int) -> None:
        self._scale, self._data, self.jobs = scale, data, jobs
        self._work = work / "grid" / name

    def count(self, dataset: str) -> int:
        """Training files of one data set."""
        return len(self._sources(dataset, "train"))

    def read(
        self, dataset: str, arm: str, seed: int, settings: Mapping[str, Any] | None
    ) -> tuple[Dataset, Row]:
        """An arm's files beside their originals and the test images, as `ue evaluate` sees them.

        Args:
            dataset: which.
            arm: whose files; the clean one's are the originals.
            seed: every seed has a key of its own.
            settings: of `ue protect`.

        Returns:
            The data set (lazy), and what the tool measured on the files; empty for clean ones.

        Raises:
            UeError: files could not be protected, or read.
        """
        originals, tests = self._clean(dataset, "train"), self._clean(dataset, "test")
        if settings is None:
            clean = self._read(originals, None, tests, originals.parent / "home")
            items = (replace(item, original=item.protected) for item in clean.train)
            return replace(clean, train=tuple(items)), {}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        folder = self._work / dataset / f"{arm}-{seed}-{digest}"
        with once(folder) as draft:
            if draft is not None:
                measured = protect_files(originals, draft, settings, self.jobs)
                (draft / "made.json").write_text(json.dumps(measured))
        measured = json.loads((folder / "made.json").read_text())
        return self._read(folder / "out", originals, tests, folder / "home"), measured

    def _read(self, dataset: Path, original: Path | None, test: Path, home: Path) -> Dataset:
        return read_dataset(
            dataset,
            original=original,
            test=test,
            home=home,
            min_test=1,
            jobs=self.jobs,
            phases=Quiet(),
        )

    def _clean(self, dataset: str, split: str) -> Path:
        folder = self._work / dataset / ("originals" if split == "train" else "tests")
        with once(folder) as draft:
            if draft is not None:
                for path, name in self._sources(dataset, split):
                    (draft / name).mkdir(exist_ok=True)
                    with Image.open(path) as image:
                        image.convert("RGB").save(draft / name / f"{path.stem}.png")
        return folder

    def _sources(self, dataset: str, split: str) -> list[tuple[Path, str]]:
        names = class_names(self._data, dataset, self._scale.classes)
        most = self._scale.per_class if split == "train" else self._scale.tests
        return first_files(self._data / split, names, most)


def protect_files(source: Path, folder: Path, settings: Mapping[str, Any], jobs: int) -> Row:
    """Protect PNG files under a new key.

    Args:
        source: of the originals.
        folder: for ``out`` and ``home``, which do not exist.
        settings: of an arm, or of a published perturbation with its ``sha256``.
        jobs: processes.

    Returns:
        What was measured.

    Raises:
        RuntimeError: a file was left out, so that the arms would train on different ones; or the
            perturbation was exchanged since its hash was taken.
        UeError: nothing could be protected.
    """
    began = time.perf_counter()
    options = {name: value for name, value in settings.items() if name not in _NO_OPTIONS}
    options |= {"budget": BUDGET, "look": STRONG, "labels": "folders", "jobs": jobs}
    copy = protect_folder(source, folder, **options)
    if copy.result.skipped:
        raise RuntimeError(f"not all files are protected: {copy.result.skipped[0].reason}")
    if copy.method.get("SHA-256") != settings.get("sha256"):
        raise RuntimeError("the perturbation was made anew meanwhile: start again")
    return {
        "linf": copy.budget.linf,
        "mean_abs": copy.budget.mean_abs,
        "files": copy.budget.files,
        "method": copy.method,
        "seconds": round(time.perf_counter() - began, 1),
    }


class GridPieces:
    """The grid's trainings at one scale, made by what `ue evaluate` is made of.

    Args:
        name: of the scale.
        scale: its sizes.
        files: of the scale.
        store: of rows.
        work: folder of trainings that others go on from.
        device: ``cpu`` or ``cuda``.
        settings: of each arm; None: the grid's own arms.
    """

    def __init__(
        self,
        name: str,
        scale: Scale,
        files: Files,
        store: Store,
        work: Path,
        device: str,
        settings: Settings | None = None,
    ) -> None:
        self._name, self._scale, self._files = name, scale, files
        self._store, self._work, self._device = store, work, device
        self._settings = settings or scale.settings
        self._count = lru_cache(files.count)
        self._arrays = lru_cache(maxsize=1)(self._load)

    def key(self, cell: Cell) -> Row:
        """Everything that must be equal in a row for it to be this training.

        How the files are made and how the victim trains are in it: a row of another texture or
        another recipe stays, and is not taken for this one.
        """
        return {
            "scale": self._name,
            **asdict(cell),
            "settings": self._settings(cell.arm),
            "recipe": as_json(asdict(self._recipe(cell))),
        }

    def run(self, cell: Cell) -> Row:
        """Train, and keep the row.

        Raises:
            UeError: the files could not be made or read.
        """
        began = time.perf_counter()
        arrays, measured = self._arrays(cell.dataset, cell.arm, cell.seed, self._copy(cell))
        training, seconds = self._train(cell, arrays)
        tests = len(arrays.test_labels)
        row = {
            "last": training.last / tests,
            "best": training.best / tests,
            "best_epoch": training.correct.index(training.best) + 1,
            "fit": training.fit,
            "correct": list(training.correct),
            "fitted": training.fitted,
            "trained": training.trained,
            "train_files": len(arrays.labels),
            "test_images": tests,
            "classes": len(set(arrays.labels.tolist())),
            "chance": Counter(arrays.test_labels.tolist()).most_common(1)[0][1] / tests,
            "same_as_none": self._is_plain(cell),
            "linf": measured.get("linf"),
            "mean_abs": measured.get("mean_abs"),
            "method": measured.get("method"),
            "making_seconds": measured.get("seconds"),
            "encoding": None if training.encoding is None else asdict(training.encoding),
            "training_version": TRAINING_VERSION,
            "device": self._device,
            "training_seconds": round(seconds, 1),
            "seconds": round(time.perf_counter() - began, 1),
        }
        return self._store.add(self.key(cell), row)

    def _train(self, cell: Cell, arrays: Arrays) -> tuple[Training, float]:
        """One training, or the attack on the plain one, and the seconds that it took."""
        data = arrays.of(Source(self._copy(cell), 100, side=SIDES[cell.dataset]))
        trial = self._trial(cell)
        with self._cache(trial) as cache:
            (result,) = run_trials(
                [trial], data, cache=cache, jobs=1, device=self._device, phases=Quiet()
            )
            if kind_of(cell.countermeasure) != "after":
                return counted(result), result.seconds
            began = time.perf_counter()
            (training,) = recover_each([result], data, device=self._device, on_radius=_nothing)
            return training, time.perf_counter() - began

    def _trial(self, cell: Cell) -> Trial:
        trains = kind_of(cell.countermeasure) == "training" and cell.countermeasure != "none"
        return Trial(
            "clean" if cell.arm == "clean" else "protected",
            cell.seed,
            self._recipe(cell),
            cell.countermeasure if trains else None,
        )

    def _is_plain(self, cell: Cell) -> bool:
        """Whether it is the plain training bit by bit, which then is not trained again."""
        trial = self._trial(cell)
        return trial.countermeasure is not None and trial.canonical().countermeasure is None

    @contextmanager
    def _cache(self, trial: Trial) -> Iterator[Path]:
        """Plain trainings are kept: others are equal to them, or go on from their weights."""
        if trial.canonical().countermeasure is None:
            yield self._work / "grid" / "trainings"
            return
        with tempfile.TemporaryDirectory(prefix="training-", dir=self._work) as folder:
            yield Path(folder)

    def _load(self, dataset: str, arm: str, seed: int, copy: str) -> tuple[Arrays, Row]:
        files, measured = self._files.read(dataset, arm, seed, self._settings(arm))
        kind = Source(copy, 100, side=SIDES[dataset]).kind
        return load_arrays(files, [kind], jobs=self._files.jobs, phases=Quiet()), measured

    def _copy(self, cell: Cell) -> str:
        return cell.countermeasure if kind_of(cell.countermeasure) == "files" else ""

    def _recipe(self, cell: Cell) -> Recipe:
        files = self._count(cell.dataset)
        return self._scale.recipe(cell.countermeasure, files, SIDES[cell.dataset])


def _nothing() -> None:
    """Report no progress."""
