"""Trainings that end in the cache: one in this process, or several side by side in their own."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ue_cli.countermeasures.registry import Need, build
from ue_cli.errors import ExitCode, UeError
from ue_cli.storage import explain_write, lock_folder
from ue_cli.training.hooks import PLAIN, Knowledge
from ue_cli.training.publicbank import PublicBank
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.ssl_victims import SslVictimResult, ssl_victim
from ue_cli.training.supervised import VictimResult, train_victim
from ue_cli.training.victims import READOUTS
from ue_cli.trials.cache import store
from ue_cli.trials.data import Trial, TrialData
from ue_cli.types import Encoding, Phases
from ue_cli.workers import Crashed, WorkerPool

_DRAFT = "data-"
_KNOWLEDGE = "knowledge-"


def train_one(
    key: str,
    trial: Trial,
    arrays: Mapping[str, NDArray[Any]],
    knowledge: Mapping[Need, Mapping[str, NDArray[Any]]],
    cache: Path,
    device: str,
    threads: int,
    on_epoch: Callable[[], None],
) -> None:
    """Train one and keep it. On the CPU the last bits depend on the number of threads.

    Args:
        key: of the cache.
        trial: which.
        arrays: `TrialData.arrays` of its arm.
        knowledge: `TrialData.knowledge` of each of its needs.
        cache: the folder.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: of torch.
        on_epoch: called after each epoch.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        victim = _victim(trial, arrays, _knowledge(knowledge), device, on_epoch)
    finally:
        torch.set_num_threads(before)
    tests, trained = len(arrays["test"]), len(arrays["images"])
    numbers: dict[str, Any] = {
        # Shares are quotients of counts: this is exact.
        "correct": [round(share * tests) for share in victim.accuracy],
        "tests": tests,
        "fitted": round(victim.fit * trained),
        "trained": trained,
        "classes": 1 + int(max(arrays["labels"].max(), arrays["test_labels"].max())),
        "seconds": victim.seconds,
    }
    if isinstance(victim, SslVictimResult):
        numbers["encoding"] = asdict(_encoding(victim, tests))
    store(cache, key, trial, numbers, victim.state)


def _victim(
    trial: Trial,
    arrays: Mapping[str, NDArray[Any]],
    knowledge: Knowledge,
    device: str,
    on_epoch: Callable[[], None],
) -> VictimResult | SslVictimResult:
    """Train with labels or without, as the recipe says."""
    recipe = trial.recipe
    images, labels, test, test_labels = (
        torch.from_numpy(arrays[name]) for name in ("images", "labels", "test", "test_labels")
    )
    how: dict[str, Any] = {
        "seed": trial.seed,
        "device": device,
        "hooks": PLAIN if trial.countermeasure is None else build(trial.countermeasure),
        "knowledge": knowledge,
        "on_epoch": lambda *_: on_epoch(),
    }
    if isinstance(recipe, SslRecipe):
        how["readouts"] = READOUTS
        return ssl_victim(images, labels, test, test_labels, recipe, **how)
    return train_victim(images, labels, test, test_labels, recipe, **how)


def _encoding(victim: SslVictimResult, tests: int) -> Encoding:
    return Encoding(
        tests=tests,
        epochs=victim.epochs,
        neighbours=round(victim.learned.knn * tests),
        floor=round(victim.floor.probe * tests),
        floor_neighbours=round(victim.floor.knn * tests),
    )


def _knowledge(knowledge: Mapping[Need, Mapping[str, NDArray[Any]]]) -> Knowledge:
    tensors = {
        need: {name: torch.from_numpy(array) for name, array in arrays.items()}
        for need, arrays in knowledge.items()
    }
    bank = PublicBank(**tensors["bank"]) if "bank" in tensors else None
    return Knowledge(tensors.get("clean", {}).get("clean"), bank)


def train_side_by_side(
    missing: Mapping[str, Trial],
    data: TrialData,
    cache: Path,
    lanes: int,
    threads: int,
    phases: Phases,
    on_kept: Callable[[str], None],
) -> None:
    """Train in processes that read the images from files, as one copy in memory for all."""
    context = get_context("spawn")
    ended, epochs = context.Event(), context.Semaphore(0)
    with _handed_over(data, missing.values(), cache) as folder:
        arguments = (folder, cache, threads, ended, epochs)
        pool = WorkerPool(_train_task, lanes, _set_up, arguments, stop=ended.set)
        total = sum(trial.recipe.epochs for trial in missing.values())
        with _counting(epochs, total, phases):
            for (key, trial), outcome in pool.run(missing.items()):
                if isinstance(outcome, Crashed):
                    raise UeError(
                        "trial-crashed",
                        f"Training on the {trial.arm} files with seed {trial.seed} ended its "
                        "process; there may be too little memory.",
                        "Close other programs or use --jobs 1, then run the same command again: "
                        "finished trainings are kept.",
                        exit_code=ExitCode.BUG,
                    )
                on_kept(key)


@contextmanager
def _handed_over(data: TrialData, trials: Iterable[Trial], cache: Path) -> Iterator[Path]:
    """What the trials need, as files while the trainings run; sweeps what killed runs left."""
    with explain_write(cache):
        for old in cache.glob(f"{_DRAFT}*"):
            with suppress(UeError):  # another run's, which is still going on
                os.close(lock_folder(old))
                shutil.rmtree(old)
        folder = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=cache))
    lock = lock_folder(folder)
    try:
        with explain_write(folder):
            parts: dict[str, Mapping[str, NDArray[Any]]] = {
                trial.arm: data.arrays(trial.arm) for trial in trials
            }
            needs = {need for trial in trials for need in trial.needs}
            parts |= {f"{_KNOWLEDGE}{need}": data.knowledge(need) for need in needs}
            for part, arrays in parts.items():
                (folder / part).mkdir()
                for name, array in arrays.items():
                    np.save(folder / part / name, array)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _counting(epochs: Semaphore, total: int, phases: Phases) -> Iterator[None]:
    """Tell ``phases`` of epochs that end in other processes."""
    over = threading.Event()

    def count() -> None:
        steps = 0
        while steps < total:
            # A trial that ran twice, its process having died, counts once.
            if epochs.acquire(timeout=0.2):
                steps += 1
                phases.step()
            elif over.is_set():
                return

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Lane:
    """What a training process works with; see `train_side_by_side`."""

    folder: Path
    cache: Path
    threads: int
    epochs: Semaphore


_lane: _Lane | None = None


def _set_up(folder: Path, cache: Path, threads: int, ended: Event, epochs: Semaphore) -> None:
    global _lane
    _lane = _Lane(folder, cache, threads, epochs)

    def leave() -> None:
        ended.wait()
        os._exit(1)  # nothing half-written counts

    threading.Thread(target=leave, daemon=True).start()


def _train_task(task: tuple[str, Trial]) -> None:
    if _lane is None:
        raise RuntimeError("this process was not set up")
    key, trial = task
    arrays = _loaded(_lane.folder / trial.arm)
    knowledge = {need: _loaded(_lane.folder / f"{_KNOWLEDGE}{need}") for need in trial.needs}
    train_one(
        key, trial, arrays, knowledge, _lane.cache, "cpu", _lane.threads, _lane.epochs.release
    )


def _loaded(folder: Path) -> dict[str, NDArray[Any]]:
    # Copy on write: torch wants memory that may be written to, and never writes.
    return {path.stem: np.load(path, mmap_mode="c") for path in folder.iterdir()}
