"""The grid's pieces: each is one training, measured as `ue evaluate` does, and one row."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from effect import Quiet

from reproduction.grid.files import Files, Made
from reproduction.grid.plan import (
    SIDES,
    Cell,
    GridScale,
    SettingsOf,
    as_json,
    recipe_of,
    settings_of,
)
from reproduction.store import Row, Store
from ue_cli.countermeasures.registry import find
from ue_cli.pipeline.evaluation.files import Arrays, Source, load_arrays
from ue_cli.pipeline.evaluation.recovered import recover_each
from ue_cli.pipeline.evaluation.work import counted
from ue_cli.pipeline.trials.cache import TRAINING_VERSION
from ue_cli.pipeline.trials.running import Trial, run_trials
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import Training


class Pieces:
    """Runs the grid's trainings at one scale.

    Args:
        name: of the scale.
        scale: its sizes.
        files: of the scale.
        store: of rows.
        device: ``cpu`` or ``cuda``.
        settings: of each arm; None: the grid's own arms.
    """

    def __init__(
        self,
        name: str,
        scale: GridScale,
        files: Files,
        store: Store,
        device: str,
        settings: SettingsOf | None = None,
    ) -> None:
        self._name, self._scale, self._files = name, scale, files
        self._store, self._device = store, device
        self._settings = settings or partial(settings_of, cells=scale.cells)
        self._count = lru_cache(files.count)
        self._arrays = lru_cache(maxsize=1)(self._load)

    def key(self, cell: Cell) -> dict[str, Any]:
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
        arrays, made = self._arrays(cell.dataset, cell.arm, cell.seed, self._copy(cell))
        done, seconds = self._train(cell, arrays)
        tests = len(arrays.test_labels)
        best = max(done.correct)
        row = {
            "last": done.last / tests,
            "best": best / tests,
            "best_epoch": done.correct.index(best) + 1,
            "fit": done.fit,
            "correct": list(done.correct),
            "fitted": done.fitted,
            "trained": done.trained,
            "train_files": len(arrays.labels),
            "test_images": tests,
            "classes": len(set(arrays.labels.tolist())),
            "chance": Counter(arrays.test_labels.tolist()).most_common(1)[0][1] / tests,
            "same_as_none": self._is_plain(cell),
            "linf": made.get("linf"),
            "mean_abs": made.get("mean_abs"),
            "method": made.get("method"),
            "making_seconds": made.get("seconds"),
            "training_version": TRAINING_VERSION,
            "device": self._device,
            "training_seconds": round(seconds, 1),
            "seconds": round(time.perf_counter() - began, 1),
        }
        return self._store.add(self.key(cell), row)

    def _train(self, cell: Cell, arrays: Arrays) -> tuple[Training, float]:
        """One training, or the attack on the plain one, and the seconds that it took."""
        data = arrays.of(Source(self._copy(cell), 100, side=SIDES[cell.dataset]))
        trial, after = self._trial(cell), find(cell.countermeasure).kind == "after"
        with self._cache(trial) as cache:
            (result,) = run_trials(
                [trial], data, cache=cache, jobs=1, device=self._device, phases=Quiet()
            )
            if not after:
                return counted(result), result.seconds
            began = time.perf_counter()
            (done,) = recover_each([result], data, device=self._device, on_radius=lambda: None)
            return done, time.perf_counter() - began

    def _trial(self, cell: Cell) -> Trial:
        trains = find(cell.countermeasure).kind == "training" and cell.countermeasure != "none"
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
        kept = self._store.work / "grid" / "trainings"
        if trial.canonical().countermeasure is None:
            yield kept
            return
        with tempfile.TemporaryDirectory(prefix="training-", dir=self._store.work) as folder:
            yield Path(folder)

    def _load(self, dataset: str, arm: str, seed: int, copy: str) -> tuple[Arrays, Made]:
        found, made = self._files.read(dataset, arm, seed, self._settings(arm))
        kind = Source(copy, 100, side=SIDES[dataset]).kind
        return load_arrays(found, [kind], jobs=self._files.jobs, phases=Quiet()), made

    def _copy(self, cell: Cell) -> str:
        return cell.countermeasure if find(cell.countermeasure).kind == "files" else ""

    def _recipe(self, cell: Cell) -> VictimRecipe:
        return recipe_of(self._scale, self._count(cell.dataset), SIDES[cell.dataset])
