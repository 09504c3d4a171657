"""Which trainings an evaluation consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ue_cli.countermeasures.registry import SPECS, Spec, build, find
from ue_cli.errors import UeError
from ue_cli.evaluation.files import Source, alone_count, side_of
from ue_cli.evaluation.options import EvaluateOptions
from ue_cli.training.architectures import ARCHITECTURES, VictimName
from ue_cli.training.hooks import treats_files_alone
from ue_cli.trials.data import Trial

Role = Literal["protected", "control", "alone"]
"""What a training of a cell sees: the published files, the originals, or the clean ones alone."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to train; see `EffectCell`."""

    victim: VictimName
    countermeasure: str
    coverage: int

    @property
    def spec(self) -> Spec:
        """Of the countermeasure."""
        return find(self.countermeasure)


@dataclass(frozen=True, slots=True)
class Task:
    """One training of a cell, on one set of arrays."""

    role: Role
    source: Source
    trial: Trial


def plan_cells(
    specs: Sequence[Spec], victims: Sequence[VictimName], coverages: Sequence[int]
) -> list[Cell]:
    """Every combination that there is (`suits`), the fullest coverage first.

    Early stopping is read off each of them.
    """
    return [
        Cell(victim, spec.name, coverage)
        for coverage in sorted(coverages, reverse=True)
        for victim in victims
        for spec in specs
        if spec.kind != "readout" and suits(victim, spec)
    ]


def suits(victim: VictimName, spec: Spec) -> bool:
    """Whether there is such a training: encoders take no steps on labelled files to be changed."""
    if not ARCHITECTURES[victim].encoder or spec.kind in ("files", "readout"):
        return True
    return spec.kind == "training" and treats_files_alone(build(spec.name))


def unsuited(
    specs: Sequence[Spec], victims: Sequence[VictimName], asked: Sequence[str] = ()
) -> tuple[str, ...]:
    """What is not tried on the encoders among some victims.

    Args:
        specs: countermeasures.
        victims: all of them.
        asked: countermeasures that were asked for by name.

    Raises:
        UeError: ``countermeasure-encoder``: one that was asked for suits none of the victims.
    """
    for spec in specs:
        if spec.name in asked and not any(suits(victim, spec) for victim in victims):
            raise _encoder(spec, victims)
    return tuple(s.name for s in specs if not all(suits(victim, s) for victim in victims))


def possible(
    specs: Sequence[Spec], options: EvaluateOptions, *, originals: bool
) -> tuple[tuple[Spec, ...], tuple[str, ...]]:
    """Leave out what the tier asks for and cannot be had here.

    Returns:
        What can be trained, and the names of what was left out.

    Raises:
        UeError: ``countermeasure-needs``: it was asked for by name; ``coverage-originals``: files
            were to stay unprotected without originals to put in their place.
    """
    if not originals and min(options.coverage) < 100:
        raise UeError(
            "coverage-originals",
            f"--coverage {min(options.coverage)} leaves files unprotected, but there are no "
            "originals to put in their place.",
            "Give the originals with --original DIR.",
        )
    had = {"clean"} if originals else set()
    if options.bank is not None:
        had.add("bank")
    lacking = [spec for spec in specs if not set(spec.needs) <= had]
    for spec in lacking:
        if spec.name in options.against:
            raise _needs(spec)
    available = tuple(spec for spec in specs if spec not in lacking)
    return available, tuple(spec.name for spec in lacking)


def check_coverages(coverages: Sequence[int], labels: Sequence[int]) -> None:
    """Refuse shares that round to all files or to none.

    Args:
        coverages: per cents of the files that are protected.
        labels: class of each file.

    Raises:
        UeError: ``coverage-rounds``.
    """
    for coverage in coverages:
        clean = alone_count(labels, coverage)
        if clean == len(labels) or (coverage < 100 and not clean):
            what = "none" if clean else "all"
            raise UeError(
                "coverage-rounds",
                f"--coverage {coverage} should protect some of the files and not others, but of "
                f"{len(labels):,} in {len(set(labels))} classes it protects {what}.",
                "Choose a share of which every class has a whole number of files, such as 50.",
            )


def _encoder(spec: Spec, victims: Sequence[VictimName]) -> UeError:
    others = (other.name for other in SPECS if all(suits(victim, other) for victim in victims))
    return UeError(
        "countermeasure-encoder",
        f"{spec.name} changes how a classifier learns from labels, but {', '.join(victims)} "
        f"{'learns' if len(victims) == 1 else 'learn'} without them.",
        f"Add a classifier, such as --victim small, or choose what treats the files: "
        f"{', '.join(others)}.",
    )


def _needs(spec: Spec) -> UeError:
    if "bank" in spec.needs:
        return UeError(
            "countermeasure-needs",
            f"{spec.name} subtracts a perturbation that the adversary has, but none was given. "
            "What ue makes under the owner's key nobody else has.",
            "Give its file with --bank FILE, or leave it out; averaging is what can be tried "
            "without one.",
        )
    return UeError(
        "countermeasure-needs",
        f"{spec.name} is for an adversary who has clean images of the training files, but there "
        "are no originals here.",
        "Give the originals with --original DIR.",
    )


def tasks_of(
    cell: Cell, options: EvaluateOptions, labels: Sequence[int], *, side: int, originals: bool
) -> Iterator[Task]:
    """The trainings of one cell; none where it goes on from those of another.

    Args:
        cell: the cell.
        options: seeds and epochs.
        labels: class of each training file.
        side: of the squares that victims read, unless they are pretrained.
        originals: whether there are controls.
    """
    spec = cell.spec
    if spec.kind == "after":
        return
    copy = spec.name if spec.kind == "files" else ""
    name = None if copy or spec.name == "none" else spec.name
    side = side_of(cell.victim, side)
    whole = options.recipe(cell.victim, train_files=len(labels), side=side)
    for seed in range(options.seed, options.seed + options.runs):
        mixed = Source(copy, cell.coverage, side=side)
        yield Task("protected", mixed, Trial("protected", seed, whole, name))
        if originals:
            yield Task("control", Source(copy, 100, side=side), Trial("clean", seed, whole, name))
        published = round(cell.coverage * (100 - spec.diluted) / 100)
        rest = alone_count(labels, published)
        if originals and rest >= (2 if ARCHITECTURES[cell.victim].encoder else 1):
            few = options.recipe(cell.victim, train_files=rest, side=side)
            trial = Trial("protected", seed, few, None if spec.diluted else name)
            yield Task("alone", Source(copy, published, alone=True, side=side), trial)
