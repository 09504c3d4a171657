"""The words for what `ue evaluate` measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from ue_cli import __version__
from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.certification.statement import describe_views
from ue_cli.countermeasures.registry import Spec
from ue_cli.datasets.dataset import Dataset
from ue_cli.evaluation.cells import Cell, Task
from ue_cli.evaluation.files import side_of
from ue_cli.evaluation.judge import CONFIDENCE, RULE, Whole, judge_all
from ue_cli.evaluation.options import EvaluateOptions, chosen_victims
from ue_cli.owner.manifest import MANIFEST_FILE, read_manifest
from ue_cli.report import PROBES, Caution, Evaluation, Headline
from ue_cli.training.architectures import ARCHITECTURES
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.victims import READOUTS, recipe_of
from ue_cli.types import Detectability, EffectCell, EffectReport

NOT_COVERED = (
    "Countermeasures, networks, recipes and image sizes that are not in the table. A larger "
    "network, a longer training or a pretrained backbone can reach more.",
    "Other trainings of the same kind: the intervals say how well the test images show what these "
    "very models reach, each by itself; they do not say how much another seed would change.",
    "Adversaries who have pairs of original and protected file, a diffusion model to purify the "
    "files, or more clean images of the same kind than were tried here.",
    "The best epoch is picked on the test images themselves: it is what an adversary with clean "
    "images reaches at most, and no more than that is claimed of it.",
)


def evaluation_of(
    measured: EffectReport,
    specs: Sequence[Spec],
    left_out: tuple[str, ...],
    untried: tuple[str, ...],
    options: EvaluateOptions,
) -> Evaluation:
    """Put what was measured into words.

    Args:
        measured: by `ue evaluate`.
        specs: what was tried.
        left_out: what could not be tried.
        untried: what was not tried on encoders.
        options: how.
    """
    manifest = options.dataset / MANIFEST_FILE
    return Evaluation(
        measured=measured,
        headlines=tuple(
            Headline(
                whole.coverage,
                whole.verdict,
                measured.cells.index(whole.worst),
                headline(whole, measured),
            )
            for whole in judge_all(measured.cells)
        ),
        intervals=_intervals(measured.detectability),
        countermeasures={spec.name: spec.summary for spec in specs},
        left_out=left_out,
        rule=RULE,
        not_covered=(*((encoders_without(untried),) if untried else ()), *NOT_COVERED),
        dataset=options.dataset.absolute().name,
        when=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        code_version=f"ue {__version__}, torch {torch.__version__}",
        command=options.command(),
        output_sha256=read_manifest(options.dataset).sha256 if manifest.exists() else None,
    )


def encoders_without(untried: Sequence[str]) -> str:
    """What is not tried on encoders, in a sentence."""
    return (
        "Not tried on encoders, which learn without labels from cropped and recoloured views: "
        f"{', '.join(untried)}."
    )


def _intervals(detectability: Detectability | None) -> dict[str, tuple[float, float]]:
    if detectability is None:
        return {}
    probes = {name: getattr(detectability, name) for name in PROBES}
    return {
        name: clopper_pearson(probe.correct, probe.tests, CONFIDENCE)
        for name, probe in probes.items()
    }


def headline(whole: Whole, measured: EffectReport) -> str:
    """The worst case of one coverage in words."""
    worst, tests = whole.worst, measured.tests
    where = f"With {whole.coverage} % of the files protected, " if whole.coverage < 100 else ""
    which = "the worst case is"
    if worst.verdict == "inconclusive":
        which = "nothing is conclusive; the most is reached by"
    lead = f"{where}{which} {_against(worst)}: it gets {_share(worst.reached, tests)} of the "
    parts = [lead[0].upper() + lead[1:] + "clean test images right at best"]
    if worst.control_reached is None:
        parts.append("; there is no control to compare it with.")
    else:
        drop = 100 * (worst.control_reached - worst.reached) / tests
        apart = f"{drop:.1f} points more" if drop >= 0 else f"{-drop:.1f} points less"
        parts.append(
            f", where the same training on the originals ends at "
            f"{_share(worst.control_reached, tests)}, {apart}."
        )
    if whole.beyond is not None:
        parts.append(
            f" More, {_share(whole.beyond.reached, tests)}, is reached by "
            f"{_against(whole.beyond)}, "
            "but that is inconclusive."
        )
    if worst.alone:
        most = max(training.last for training in worst.alone)
        parts.append(
            f" The clean files alone give {_share(most, tests)}: what goes beyond that is what the "
            "protected ones still teach."
        )
    if whole.because is not None:
        other = whole.because
        sentence = f" What decides is {_against(other)}: it gets {_share(other.reached, tests)}"
        if other.control_reached is not None:
            sentence += f", its control {_share(other.control_reached, tests)}"
        parts.append(f"{sentence}.")
    parts.append(f" Verdict: {whole.verdict.replace('-', ' ')}.")
    return "".join(parts)


def _against(cell: EffectCell) -> str:
    title = ARCHITECTURES[cell.victim].title if cell.victim in ARCHITECTURES else cell.victim
    how = "trained as usual" if cell.countermeasure == "none" else f"under {cell.countermeasure}"
    return f"a {title} {how}"


def _share(correct: int, tests: int) -> str:
    return f"{100 * correct / tests:.1f} %"


def describe_training(cell: Cell, task: Task, train_files: int) -> str:
    """What the trainings of one cell are, in words.

    Args:
        cell: the cell.
        task: one of its trainings.
        train_files: of it.
    """
    recipe, side = task.trial.recipe, task.source.side
    begun, readout = "from scratch", ""
    if isinstance(recipe, SslRecipe):
        begun = f"({ARCHITECTURES[recipe.net].title}) from scratch, without labels"
        readout = (
            f"; read out {min(READOUTS, recipe.epochs)} times, at last after the last epoch, by a "
            "linear probe that is fitted to the same files and their labels"
        )
    elif recipe.backbone:
        begun = f"({recipe.backbone})"
    usual = recipe_of(cell.victim, train_files=train_files, side=side).epochs
    asked = "" if recipe.epochs == usual else f" instead of {usual}"
    return (
        f"{ARCHITECTURES[cell.victim].title} {begun}, {recipe.epochs} epochs{asked} in batches of "
        f"{recipe.batch}, files at {side} pixels, {describe_views(recipe)}{readout}; "
        f"{cell.spec.summary}"
    )


def few_epochs(options: EvaluateOptions, dataset: Dataset) -> tuple[Caution, ...]:
    """A warning where a victim trains for less time than its recipe has.

    Args:
        options: with the epochs that were asked for.
        dataset: what is trained on.
    """
    asked = options.epochs
    if asked is None:
        return ()
    usual = {
        victim: recipe_of(
            victim, train_files=len(dataset.train), side=side_of(victim, dataset.side)
        ).epochs
        for victim in chosen_victims(options)
    }
    short = [f"{victim} {epochs}" for victim, epochs in usual.items() if asked < epochs]
    if not short:
        return ()
    text = (
        f"--epochs {asked} is less than the recipes have ({', '.join(short)}): a short training "
        "learns the content first, where it has labels, and no control has reached its plateau."
    )
    hint = "Read the verdicts as those of a short training, or leave --epochs out."
    return (Caution("few-epochs", text, hint),)
