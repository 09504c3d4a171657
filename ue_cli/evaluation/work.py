"""The trainings of all cells, grouped by what they read, each of them run once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ue_cli.evaluation.cells import Cell, Task
from ue_cli.evaluation.files import Arrays, Source
from ue_cli.evaluation.judge import training
from ue_cli.trials.running import (
    Trial,
    TrialResult,
    estimate_seconds,
    finished,
    pending,
    run_trials,
)
from ue_cli.types import Phases, Training

Done = dict[tuple[Source, Trial], TrialResult]
"""Finished trainings by what they read and what they are."""


@dataclass(frozen=True, eq=False)
class Work:
    """What there is to train.

    Attributes:
        tasks: of each cell, in the order of the cells.
        arrays: what they read.
        cache: folder of finished trainings.
        jobs: trainings side by side on a CPU.
        device: ``cpu``, ``cuda`` or ``mps``.
    """

    tasks: Mapping[Cell, Sequence[Task]]
    arrays: Arrays
    cache: Path
    jobs: int
    device: str

    @property
    def groups(self) -> dict[Source, list[Trial]]:
        """Source → what is trained on it; equal trainings are there once."""
        groups: dict[Source, dict[Trial, None]] = {}
        for tasks in self.tasks.values():
            for task in tasks:
                groups.setdefault(task.source, {})[task.trial] = None
        return {source: list(trials) for source, trials in groups.items()}

    @property
    def trainings(self) -> int:
        """How many there are; those that are bit by bit the plain one count as that."""
        return sum(len({t.canonical() for t in trials}) for trials in self.groups.values())

    def left(self) -> dict[Source, list[Trial]]:
        """What is not in the cache."""
        return {
            source: pending(trials, self.arrays.of(source), cache=self.cache, device=self.device)
            for source, trials in self.groups.items()
        }

    def finished(self, tasks: Sequence[Task]) -> list[TrialResult]:
        """What is in the cache of these."""
        groups: dict[Source, list[Trial]] = {}
        for task in tasks:
            groups.setdefault(task.source, []).append(task.trial)
        return [
            result
            for source, trials in groups.items()
            for result in finished(
                trials, self.arrays.of(source), cache=self.cache, device=self.device
            )
        ]

    def estimate(self, left: Mapping[Source, Sequence[Trial]]) -> float:
        """Seconds that these trainings will take; see `estimate_seconds`.

        Trainings on as many files of one size are timed together, each kind of them once.
        """
        classes = 1 + int(max(self.arrays.labels.max(), self.arrays.test_labels.max()))
        alike: dict[tuple[int, int], list[Trial]] = {}
        for source, trials in left.items():
            alike.setdefault((self.arrays.count(source), source.side), []).extend(trials)
        return sum(
            estimate_seconds(
                trials,
                train_files=count,
                tests=len(self.arrays.test_labels),
                side=side,
                classes=classes,
                jobs=self.jobs,
                device=self.device,
            )
            for (count, side), trials in alike.items()
        )

    def run(self, phases: Phases, on_result: Callable[[Done], None]) -> Done:
        """Train what is not in the cache.

        Args:
            phases: one phase per source, one step per epoch.
            on_result: called with all that is done, whenever one more is.

        Raises:
            UeError: see `run_trials`.
        """
        done: Done = {}
        for source, trials in self.groups.items():

            def keep(result: TrialResult, source: Source = source) -> None:
                done[source, result.trial] = result
                on_result(done)

            run_trials(
                trials,
                self.arrays.of(source),
                cache=self.cache,
                jobs=self.jobs,
                device=self.device,
                phases=phases,
                title=f"Training ({source})",
                on_result=keep,
            )
        return done


def trained(tasks: Sequence[Task], done: Done, role: str) -> tuple[Training, ...]:
    """The finished trainings of one role among ``tasks``, by seed."""
    results = [
        done[task.source, task.trial]
        for task in tasks
        if task.role == role and (task.source, task.trial) in done
    ]
    return tuple(counted(result) for result in results)


def counted(result: TrialResult) -> Training:
    """A finished training as the verdict and the report know it."""
    return training(
        result.trial.seed,
        result.correct,
        tests=result.tests,
        fitted=result.fitted,
        trained=result.trained,
        encoding=result.encoding,
    )
