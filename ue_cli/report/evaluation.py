"""What `ue evaluate` measured, as ``evaluation.json`` holds it and the report tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ue_cli.types import EffectCell, EffectReport, EffectVerdict, Training

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
        detectability = self.measured.detectability
        for name in () if detectability is None else PROBES:
            if getattr(detectability, name).tests < 1 or name not in self.intervals:
                raise ValueError("expected an interval for each linear classifier")
        for cell in cells:
            if not cell.protected or (cell.lower is None) != (not cell.control):
                raise ValueError("expected trainings, and a lower bound exactly with controls")
            for training in (*cell.protected, *cell.control, *cell.alone):
                if not _whole(training, tests):
                    raise ValueError("expected counts of test images and files")

    @property
    def headline(self) -> Headline:
        """Of the fullest coverage."""
        return self.headlines[0]

    def worst(self, headline: Headline) -> EffectCell:
        """The cell that a headline is about."""
        return self.measured.cells[headline.worst]

    def named(self, cells: Sequence[EffectCell]) -> list[tuple[str, EffectCell]]:
        """Give each cell a name by what tells it apart from the others."""
        victims = {cell.victim for cell in cells}
        coverages = {cell.coverage for cell in cells}
        return [
            (
                cell.countermeasure
                + (f", {cell.victim}" if len(victims) > 1 else "")
                + (f", {cell.coverage} % protected" if len(coverages) > 1 else ""),
                cell,
            )
            for cell in cells
        ]


def _whole(training: Training, tests: int) -> bool:
    counts = list(training.correct)
    if (encoding := training.encoding) is not None:
        counts += [encoding.neighbours, encoding.floor, encoding.floor_neighbours]
        if encoding.tests != tests:
            return False
    return (
        tests > 0
        and len(training.epochs) == len(training.correct) > 0
        and all(0 <= correct <= tests for correct in counts)
        and 0 <= training.fitted <= training.trained > 0
    )
