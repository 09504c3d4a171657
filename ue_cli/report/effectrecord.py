"""What `ue evaluate` found, as the report tells it, and as ``evaluation.json`` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ue_cli.report.values import dumps, load_as, plain
from ue_cli.types import EffectCell, EffectReport, EffectVerdict, Training

EVALUATION_SCHEMA = "ue-evaluation/1"
PROBES = ("detected", "perturbation", "perturbation_spectrum", "published", "original")
"""The linear classifiers of `Detectability`, by their names there."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The worst case of one coverage.

    Attributes:
        coverage: per cent of the training files that are protected.
        verdict: on all cells of that coverage.
        worst: index of the worst cell in the report's cells.
        sentence: the worst case in words, with its numbers.
    """

    coverage: int
    verdict: EffectVerdict
    worst: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished `ue evaluate`, with the words for it. Values only; nothing here is computed.

    Attributes:
        measured: trainings, bounds and verdicts.
        headlines: the worst case of each coverage, the fullest first.
        intervals: Clopper–Pearson interval of each share in ``measured.detectability``, by its
            name; empty where there is none.
        countermeasures: what the adversary does, by the countermeasure's name.
        left_out: countermeasures that could not be tried here.
        rule: of the verdicts, in words.
        not_covered: what this does not speak about, a sentence each.
        dataset: the folder's name.
        when: ISO 8601 time with its offset.
        code_version: of `ue` and torch.
        command: the command line that repeats it.
        output_sha256: the manifest's hash (`Manifest.sha256`) of the published files that this is
            about; None where the folder has no manifest.

    Raises:
        ValueError: these do not belong together.
    """

    measured: EffectReport
    headlines: tuple[Headline, ...]
    intervals: Mapping[str, tuple[float, float]]
    countermeasures: Mapping[str, str]
    left_out: tuple[str, ...]
    rule: str
    not_covered: tuple[str, ...]
    dataset: str
    when: str
    code_version: str
    command: str
    output_sha256: str | None

    def __post_init__(self) -> None:
        cells, tests = self.measured.cells, self.measured.tests
        if not cells or not self.headlines:
            raise ValueError("expected a cell and a worst case")
        if any(not 0 <= headline.worst < len(cells) for headline in self.headlines):
            raise ValueError("expected worst cases among the cells")
        found = self.measured.detectability
        for name in () if found is None else PROBES:
            if getattr(found, name).tests < 1 or name not in self.intervals:
                raise ValueError("expected an interval for each linear classifier")
        for cell in cells:
            if not cell.protected or (cell.lower is None) != (not cell.control):
                raise ValueError("expected trainings, and a lower bound exactly with controls")
            for one in (*cell.protected, *cell.control, *cell.alone):
                if not _whole(one, tests):
                    raise ValueError("expected counts of test images and files")

    @property
    def headline(self) -> Headline:
        """Of the fullest coverage."""
        return self.headlines[0]

    def worst(self, headline: Headline) -> EffectCell:
        """The cell that a headline is about."""
        return self.measured.cells[headline.worst]


def _whole(one: Training, tests: int) -> bool:
    counted = bool(one.correct) and all(0 <= right <= tests for right in one.correct)
    counted = counted and len(one.epochs) == len(one.correct)
    if (of := one.encoding) is not None:
        shown = (of.neighbours, of.floor, of.floor_neighbours)
        counted = counted and of.tests == tests and all(0 <= right <= tests for right in shown)
    return counted and tests > 0 and 0 <= one.fitted <= one.trained and one.trained > 0


def dump(evaluation: Evaluation) -> str:
    """Format ``evaluation.json``, every epoch of every training included."""
    return dumps({"schema": EVALUATION_SCHEMA} | plain(evaluation)) + "\n"


def load(text: str) -> Evaluation:
    """Read what `dump` wrote.

    Raises:
        ValueError: it is no evaluation, one of another version, or damaged.
    """
    return load_as(Evaluation, EVALUATION_SCHEMA, text)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """What report.json says of it: verdicts and accuracies, without the epochs."""
    measured = evaluation.measured
    tests = measured.tests
    return {
        "file": "evaluation.json",
        "when": evaluation.when,
        "code_version": evaluation.code_version,
        "output_sha256": evaluation.output_sha256,
        "data_sha256": measured.data_sha256,
        "test_files": tests,
        "chance": measured.chance,
        "confidence": measured.confidence,
        "headlines": [plain(headline) for headline in evaluation.headlines],
        "cells": [
            {
                "victim": cell.victim,
                "countermeasure": cell.countermeasure,
                "coverage": cell.coverage,
                "verdict": cell.verdict,
                "reason": cell.reason,
                "upper": cell.upper,
                "control_lower": cell.lower,
                "last": [one.last / tests for one in cell.protected],
                "best": [one.best / tests for one in cell.protected],
                "fit": [one.fit for one in cell.protected],
                "control_last": [one.last / tests for one in cell.control],
                "control_fit": [one.fit for one in cell.control],
                "encodings": [plain(one.encoding) for one in cell.protected if one.encoding],
                "control_encodings": [plain(one.encoding) for one in cell.control if one.encoding],
                "unprotected_alone": [one.last / tests for one in cell.alone],
                "recipe": cell.recipe,
            }
            for cell in measured.cells
        ],
        "detectability": plain(measured.detectability),
        "left_out": list(evaluation.left_out),
        "rule": evaluation.rule,
        "not_covered": list(evaluation.not_covered),
    }
