"""`ue evaluate`: train, judge, and tell it in the report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ue_cli.certification.statement import duration
from ue_cli.datasets.dataset import Dataset
from ue_cli.datasets.subject import TRAININGS
from ue_cli.evaluation.bank import collection_bank, for_classes, read_public
from ue_cli.evaluation.cells import (
    check_coverages,
    plan_cells,
    possible,
    tasks_of,
    unsuited,
)
from ue_cli.evaluation.files import load_arrays
from ue_cli.evaluation.judge import CONFIDENCE
from ue_cli.evaluation.measure import (
    attack_seconds,
    chance_of,
    look_for_it,
    measure_cells,
)
from ue_cli.evaluation.options import (
    EvaluateOptions,
    chosen_countermeasures,
    chosen_victims,
)
from ue_cli.evaluation.words import encoders_without, evaluation_of, few_epochs
from ue_cli.evaluation.work import Work
from ue_cli.report import Caution, Evaluation, write_evaluation
from ue_cli.report.values import plain
from ue_cli.storage import explain_write
from ue_cli.training.backend import resolve_device
from ue_cli.types import EffectReport, Watch


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
    unsuited(asked, victims, options.against)  # before any work
    device = resolve_device(options.device)
    public = read_public(options)
    dataset = options.read(phases)
    public = None if public is None else for_classes(public, dataset.classes)
    originals = dataset.has_control
    specs, left_out = possible(asked, options, originals=originals)
    untried = unsuited(specs, victims)
    cells = plan_cells(specs, victims, options.coverage)
    labels = [item.label for item in dataset.train]
    check_coverages(options.coverage, labels)
    tasks = {
        cell: list(tasks_of(cell, options, labels, side=dataset.side, originals=originals))
        for cell in cells
    }
    kinds = {task.source.kind for cell_tasks in tasks.values() for task in cell_tasks}
    bank = None if public is None else public.bank
    arrays = load_arrays(dataset, kinds, bank, jobs=options.jobs, phases=phases)
    work = Work(tasks, arrays, options.folder / TRAININGS, options.jobs, device)
    left = work.left()
    seconds = work.estimate(left) + attack_seconds(work, len(dataset.classes))
    planned = EvaluateResult(
        cells=tuple((c.victim, c.countermeasure, c.coverage) for c in cells),
        trainings=work.trainings,
        left=sum(map(len, left.values())),
        estimate=seconds,
        evaluation=None,
        report=options.folder,
        cautions=(*dataset.cautions, *few_epochs(options, dataset)),
    )
    if untried:
        phases.note(encoders_without(untried))
    _announce(dataset, planned, options, device, left_out, phases)
    if options.dry_run:
        return planned
    measured = measure_cells(dataset, work, public, phases)
    report = EffectReport(
        cells=measured,
        tests=len(dataset.test),
        train_files=len(dataset.train),
        classes=len(dataset.classes),
        chance=chance_of(dataset),
        confidence=CONFIDENCE,
        test_source=dataset.test_source,
        detectability=look_for_it(dataset, work, seed=options.seed, phases=phases),
        device=device.upper(),
        data_sha256=dataset.sha256,
        seconds=time.monotonic() - started,
    )
    evaluation = evaluation_of(report, specs, left_out, untried, asked_for)
    with explain_write(options.folder):
        write_evaluation(options.folder, evaluation)
    return replace(planned, evaluation=evaluation)


def _announce(
    dataset: Dataset,
    planned: EvaluateResult,
    options: EvaluateOptions,
    device: str,
    left_out: tuple[str, ...],
    phases: Watch,
) -> None:
    """Say what is fixed from here on, before the first training."""
    phases.note(
        f"{len(dataset.train):,} files train and {len(dataset.test):,} clean images test, in "
        f"{len(dataset.classes)} classes. {dataset.labels_from}"
    )
    if not dataset.has_control:
        phases.note("Without originals there is no control, and nothing can be concluded.")
    if left_out:
        phases.note(f"Left out, because they need what is not here: {', '.join(left_out)}.")
    earlier_trainings = planned.trainings - planned.left
    before = f", {earlier_trainings} of them finished earlier" if earlier_trainings else ""
    phases.note(
        f"{len(planned.cells)} cell{'s' if len(planned.cells) > 1 else ''}, "
        f"{planned.trainings} training{'s' if planned.trainings > 1 else ''} with "
        f"{options.runs} seed{'s' if options.runs > 1 else ''} each{before}. This will take about "
        f"{duration(planned.estimate)} on {device.upper()}."
    )
