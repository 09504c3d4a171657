"""`ue evaluate`: train, judge, and tell it in the report."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ue_cli.errors import ExitCode
from ue_cli.photos.private import explain_write
from ue_cli.pipeline.backend import resolve_device
from ue_cli.pipeline.dataset import Dataset
from ue_cli.pipeline.evaluation import board
from ue_cli.pipeline.evaluation.bank import (
    PublicFile,
    collection_bank,
    for_classes,
    read_public,
)
from ue_cli.pipeline.evaluation.cells import Cell, check_coverages, plan_cells, possible, tasks_of
from ue_cli.pipeline.evaluation.files import Source, load_arrays, side_of
from ue_cli.pipeline.evaluation.judge import CONFIDENCE, judge_cell
from ue_cli.pipeline.evaluation.options import (
    EvaluateOptions,
    chosen_countermeasures,
    chosen_victims,
)
from ue_cli.pipeline.evaluation.recovered import (
    RADII,
    describe_recovery,
    recover_each,
    recovery_steps,
)
from ue_cli.pipeline.evaluation.words import describe_training, evaluation_of
from ue_cli.pipeline.evaluation.work import Done, Work, trained
from ue_cli.pipeline.statement import duration
from ue_cli.pipeline.subject import TRAININGS
from ue_cli.pipeline.trialplan import measure
from ue_cli.report import Caution, Evaluation, write_evaluation
from ue_cli.report.values import plain
from ue_cli.training.probes import FEWEST, measure_detectability
from ue_cli.training.victims import victim_recipe
from ue_cli.types import Detectability, EffectCell, EffectReport, Training, Watch


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """What `ue evaluate` found, or would do.

    Attributes:
        cells: victim, countermeasure and coverage of each cell.
        trainings: of them all; equal ones count once.
        left: those that had not been trained before.
        estimate: seconds that these were expected to take.
        evaluation: what was found; None after a dry run.
        report: the report's folder.
        cautions: what was left out, and what looks wrong.
    """

    cells: tuple[tuple[str, str, int], ...]
    trainings: int
    left: int
    estimate: float
    evaluation: Evaluation | None
    report: Path
    cautions: tuple[Caution, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Every verdict is a result."""
        return ExitCode.DONE

    def to_json(self) -> dict[str, Any]:
        """The envelope's result: all that is in evaluation.json, every epoch included."""
        return {
            "dry_run": self.evaluation is None,
            "cells": [
                {"victim": victim, "countermeasure": name, "coverage": coverage}
                for victim, name, coverage in self.cells
            ],
            "trainings": self.trainings,
            "trainings_left": self.left,
            "estimate_seconds": self.estimate,
            "report": str(self.report),
            "evaluation": plain(self.evaluation),
            "warnings": [plain(caution) for caution in self.cautions],
        }


def evaluate(options: EvaluateOptions, phases: Watch) -> EvaluateResult:
    """Train victims on a protected folder, and on its originals, under each countermeasure.

    Raises:
        UeError: unknown names, or a data set that cannot be evaluated; finished trainings are
            kept, and the same call goes on from there.
    """
    started = time.monotonic()
    asked_for = options
    if options.bank is None:  # what the files carry, where everyone has that
        options = replace(options, bank=collection_bank(options.dataset, options.home))
    asked, victims = chosen_countermeasures(options), chosen_victims(options)
    device = resolve_device(options.device)
    public = None if options.bank is None else read_public(options.bank)
    found = options.read(phases)
    public = None if public is None else for_classes(public, found.classes)
    specs, left_out = possible(asked, options, originals=found.has_control)
    cells = plan_cells(specs, victims, options.coverage)
    labels = [item.label for item in found.train]
    check_coverages(options.coverage, labels)
    tasks = {
        cell: list(tasks_of(cell, options, labels, originals=found.has_control)) for cell in cells
    }
    kinds = {task.source.kind for some in tasks.values() for task in some}
    bank = None if public is None else public.bank
    arrays = load_arrays(found, kinds, bank, jobs=options.jobs, phases=phases)
    work = Work(tasks, arrays, options.folder / TRAININGS, options.jobs, device)
    left = work.left()
    seconds = work.estimate(left) + _recovery_seconds(work, len(found.classes))
    planned = EvaluateResult(
        cells=tuple((c.victim, c.countermeasure, c.coverage) for c in cells),
        trainings=work.trainings,
        left=sum(map(len, left.values())),
        estimate=seconds,
        evaluation=None,
        report=options.folder,
        cautions=found.cautions,
    )
    _announce(found, planned, options, device, left_out, phases)
    if options.dry_run:
        return planned
    measured = _measure(found, work, phases, public)
    report = EffectReport(
        cells=tuple(measured.values()),
        tests=len(found.test),
        train_files=len(found.train),
        classes=len(found.classes),
        chance=_chance(found),
        confidence=CONFIDENCE,
        test_source=found.test_source,
        detectability=_look_for_it(found, work, options, phases),
        device=device.upper(),
        data_sha256=found.sha256,
        seconds=time.monotonic() - started,
    )
    evaluation = evaluation_of(report, specs, left_out, asked_for)
    with explain_write(options.folder):
        write_evaluation(options.folder, evaluation)
    return replace(planned, evaluation=evaluation)


def _announce(
    found: Dataset,
    planned: EvaluateResult,
    options: EvaluateOptions,
    device: str,
    left_out: tuple[str, ...],
    phases: Watch,
) -> None:
    """Say what is fixed from here on, before the first training."""
    phases.note(
        f"{len(found.train):,} files train and {len(found.test):,} clean images test, in "
        f"{len(found.classes)} classes. {found.labels_from}"
    )
    if not found.has_control:
        phases.note("Without originals there is no control, and nothing can be concluded.")
    if left_out:
        phases.note(f"Left out, because they need what is not here: {', '.join(left_out)}.")
    kept = planned.trainings - planned.left
    before = f", {kept} of them finished earlier" if kept else ""
    phases.note(
        f"{len(planned.cells)} cells, {planned.trainings} trainings with "
        f"{options.runs} seed{'s' if options.runs > 1 else ''} each{before}. This will take about "
        f"{duration(planned.estimate)} on {device.upper()}."
    )


def _measure(
    found: Dataset, work: Work, phases: Watch, public: PublicFile | None
) -> dict[Cell, EffectCell]:
    """Train everything, and judge each cell as soon as it is complete."""
    chance, tests = _chance(found), len(found.test)
    judged: dict[Cell, EffectCell] = {}

    def on_result(done: Done) -> None:
        for cell, tasks in work.tasks.items():
            complete = all((task.source, task.trial) in done for task in tasks)
            if tasks and complete and cell not in judged:
                arms = {
                    role: trained(tasks, done, role) for role in ("protected", "control", "alone")
                }
                recipe = describe_training(cell.victim, tasks[0].trial.recipe, cell.spec)
                if public is not None and "bank" in cell.spec.needs:
                    recipe += f" ({public.title})"
                judged[cell] = _judged(cell, **arms, recipe=recipe, chance=chance)
        board.show(phases, work.tasks, done, tests, judged)

    on_result({})
    done = work.run(phases, on_result)
    for cell in _attacks(work):
        judged[cell] = _recover(cell, work, done, chance, phases)
        on_result(done)
    return {cell: judged[cell] for cell in work.tasks}


def _judged(
    cell: Cell,
    protected: tuple[Training, ...],
    control: tuple[Training, ...],
    alone: tuple[Training, ...],
    *,
    recipe: str,
    chance: float,
) -> EffectCell:
    found = judge_cell(protected, control, chance=chance)
    return EffectCell(
        victim=cell.victim,
        countermeasure=cell.countermeasure,
        coverage=cell.coverage,
        protected=protected,
        control=control,
        alone=alone,
        recipe=recipe,
        upper=found.upper,
        lower=found.lower,
        verdict=found.verdict,
        reason=found.reason,
    )


def _look_for_it(
    found: Dataset, work: Work, options: EvaluateOptions, phases: Watch
) -> Detectability | None:
    """Fit linear classifiers, where there are originals and enough files."""
    side = min(source.side for source in work.groups)
    data = work.arrays.of(Source("", 100, side=side))
    if data.clean is None or len(found.train) < FEWEST:
        return None
    phases.start("Fitting linear classifiers", 1)
    seen = measure_detectability(
        torch.from_numpy(data.protected),
        torch.from_numpy(data.clean),
        torch.from_numpy(data.labels),
        seed=options.seed,
        device=work.device if work.device == "cuda" else "cpu",
    )
    phases.step()
    return seen


def _chance(found: Dataset) -> float:
    largest = Counter(item.label for item in found.test).most_common(1)[0][1]
    return largest / len(found.test)


def _attacks(work: Work) -> list[Cell]:
    """Cells that go on from the weights of plain ones."""
    return [cell for cell in work.tasks if cell.spec.kind == "after"]


def _recover(cell: Cell, work: Work, done: Done, chance: float, phases: Watch) -> EffectCell:
    """Attack the plain trainings of the same victim and coverage, and their controls."""
    base = next(
        tasks
        for other, tasks in work.tasks.items()
        if other.countermeasure == "none"
        and (other.victim, other.coverage) == (cell.victim, cell.coverage)
    )
    phases.start(f"Attacking {cell.victim}", sum(t.role != "alone" for t in base) * len(RADII))
    data = work.arrays.of(Source("", 100, side=side_of(cell.victim)))
    arms = {
        role: recover_each(
            [done[task.source, task.trial] for task in base if task.role == role],
            data,
            device=work.device,
            on_radius=phases.step,
        )
        for role in ("protected", "control")
    }
    recipe = describe_recovery(len(data.labels))
    return _judged(cell, **arms, alone=(), recipe=recipe, chance=chance)


def _recovery_seconds(work: Work, classes: int) -> float:
    files = len(work.arrays.labels)
    total = 0.0
    for cell in _attacks(work):
        side = side_of(cell.victim)
        recipe = victim_recipe(cell.victim, train_files=files, side=side)
        step, _ = measure(recipe, side, classes, 1, work.jobs, work.device)
        base = next(t for c, t in work.tasks.items() if c.victim == cell.victim and t)
        total += sum(task.role != "alone" for task in base) * recovery_steps(files) * step
    return total
