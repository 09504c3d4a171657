"""Train everything that an evaluation consists of, and judge each cell as soon as it is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from ue_cli.datasets.dataset import Dataset
from ue_cli.evaluation import board
from ue_cli.evaluation.bank import PublicFile
from ue_cli.evaluation.cells import Cell, Task
from ue_cli.evaluation.files import Source
from ue_cli.evaluation.judge import judge_cell
from ue_cli.evaluation.recovered import (
    RADII,
    attacks_left,
    describe_recovery,
    recover_each,
    recovery_seconds,
)
from ue_cli.evaluation.words import describe_training
from ue_cli.evaluation.work import Done, Work, trained
from ue_cli.training.probes import FEWEST, measure_detectability
from ue_cli.trials.running import TrialData
from ue_cli.types import Detectability, EffectCell, Training, Watch


def measure_cells(
    dataset: Dataset, work: Work, public: PublicFile | None, phases: Watch
) -> tuple[EffectCell, ...]:
    """Train, attack and judge; the table of all cells is shown whenever one more is done.

    Args:
        dataset: the data set.
        work: what is to be trained.
        public: the perturbation that the adversary has, if any.
        phases: told about everything.

    Returns:
        In the order of ``work.tasks``.
    """
    chance, tests = chance_of(dataset), len(dataset.test)
    judged: dict[Cell, EffectCell] = {}

    def on_result(done: Done) -> None:
        for cell, tasks in work.tasks.items():
            complete = all((task.source, task.trial) in done for task in tasks)
            if tasks and complete and cell not in judged:
                arms = {
                    role: trained(tasks, done, role) for role in ("protected", "control", "alone")
                }
                recipe = describe_training(cell, tasks[0], len(dataset.train))
                if public is not None and "bank" in cell.spec.needs:
                    recipe += f" ({public.title})"
                judged[cell] = _judged(cell, **arms, recipe=recipe, chance=chance)
        board.show(phases, work.tasks, done, tests, judged)

    on_result({})
    done = work.run(phases, on_result)
    for cell in _attacks(work):
        judged[cell] = _recover(cell, work, done, chance, phases)
        on_result(done)
    return tuple(judged[cell] for cell in work.tasks)


def chance_of(dataset: Dataset) -> float:
    """Accuracy of guessing the largest class of the test images."""
    largest = Counter(item.label for item in dataset.test).most_common(1)[0][1]
    return largest / len(dataset.test)


def attack_seconds(work: Work, classes: int) -> float:
    """How long the attacks on finished trainings will take that are not kept."""
    files, tests = len(work.arrays.labels), len(work.arrays.test_labels)
    total = 0.0
    for cell in _attacks(work):
        tasks, data = _attacked(cell, work)
        results = work.finished(tasks)
        left = len(tasks) - len(results)
        left += attacks_left(results, data, device=work.device, cache=work.cache)
        if left:
            total += left * recovery_seconds(
                tasks[0].trial.classifier,
                train_files=files,
                tests=tests,
                side=tasks[0].source.side,
                classes=classes,
                threads=work.jobs,
                device=work.device,
            )
    return total


def look_for_it(dataset: Dataset, work: Work, *, seed: int, phases: Watch) -> Detectability | None:
    """Fit linear classifiers, where there are originals and enough files."""
    side = min(source.side for source in work.groups)
    data = work.arrays.of(Source("", 100, side=side))
    if data.clean is None or len(dataset.train) < FEWEST:
        return None
    phases.start("Fitting linear classifiers", 1)
    detectability = measure_detectability(
        torch.from_numpy(data.protected),
        torch.from_numpy(data.clean),
        torch.from_numpy(data.labels),
        seed=seed,
        device=work.device if work.device == "cuda" else "cpu",
    )
    phases.step()
    return detectability


def _attacks(work: Work) -> list[Cell]:
    """Cells that go on from the weights of plain ones."""
    return [cell for cell in work.tasks if cell.spec.kind == "after"]


def _attacked(cell: Cell, work: Work) -> tuple[list[Task], TrialData]:
    """The plain trainings of the same victim and coverage, their controls, and what is known."""
    plain = next(
        tasks
        for other, tasks in work.tasks.items()
        if other.countermeasure == "none"
        and (other.victim, other.coverage) == (cell.victim, cell.coverage)
    )
    data = work.arrays.of(Source("", 100, side=plain[0].source.side))
    return [task for task in plain if task.role != "alone"], data


def _recover(cell: Cell, work: Work, done: Done, chance: float, phases: Watch) -> EffectCell:
    tasks, data = _attacked(cell, work)
    phases.start(f"Attacking {cell.victim}", len(tasks) * len(RADII))
    arms = {
        role: recover_each(
            [done[task.source, task.trial] for task in tasks if task.role == role],
            data,
            device=work.device,
            on_radius=phases.step,
            cache=work.cache,
            threads=work.jobs,
        )
        for role in ("protected", "control")
    }
    recipe = describe_recovery(len(data.labels))
    return _judged(cell, **arms, alone=(), recipe=recipe, chance=chance)


def _judged(
    cell: Cell,
    protected: Sequence[Training],
    control: Sequence[Training],
    alone: Sequence[Training],
    *,
    recipe: str,
    chance: float,
) -> EffectCell:
    judgement = judge_cell(protected, control, chance=chance)
    return EffectCell(
        victim=cell.victim,
        countermeasure=cell.countermeasure,
        coverage=cell.coverage,
        protected=tuple(protected),
        control=tuple(control),
        alone=tuple(alone),
        recipe=recipe,
        upper=judgement.upper,
        lower=judgement.lower,
        verdict=judgement.verdict,
        reason=judgement.reason,
    )
