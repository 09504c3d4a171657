"""What trainers get out of protected files: trainings, their controls, and verdicts on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ue_cli.types.detectability import Detectability

EffectVerdict = Literal["protected", "weak", "not-shown", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an encoder that learned without labels is worth beside its linear probe, in counts.

    The labelled files that the probe is fitted to are those that the encoder learned from.

    Attributes:
        tests: clean test images.
        epochs: after which it was read out, one for each of `Training.correct`.
        neighbours: test images that nearest neighbours get right on its features, at the end.
        floor: that a linear probe gets right on the same encoder before its first step.
        floor_neighbours: that nearest neighbours get right there.
    """

    tests: int
    epochs: tuple[int, ...]
    neighbours: int
    floor: int
    floor_neighbours: int


@dataclass(frozen=True, slots=True)
class Training:
    """One finished training, in counts.

    Attributes:
        seed: of weights, order and augmentation.
        correct: clean test images that it gets right after each epoch; of an encoder, that a
            linear probe on its features gets right, after some of them.
        fitted: of its own training files, augmented as in training, that it gets right at the end;
            of an encoder's probe, whole frames.
        trained: of how many.
        last_interval: Clopper–Pearson interval of its accuracy after the last epoch.
        best_interval: the same after the best epoch; its lower end is too high, because that epoch
            was picked on the test images.
        encoding: of an encoder that learned without labels; None: it is a classifier.
    """

    seed: int
    correct: tuple[int, ...]
    fitted: int
    trained: int
    last_interval: tuple[float, float]
    best_interval: tuple[float, float]
    encoding: Encoding | None = None

    @property
    def last(self) -> int:
        """Correct test images after the last epoch."""
        return self.correct[-1]

    @property
    def best(self) -> int:
        """After the best epoch: what stopping early on clean test images reaches at most."""
        return max(self.correct)

    @property
    def epochs(self) -> tuple[int, ...]:
        """After which epoch each of ``correct`` was counted."""
        every = range(1, len(self.correct) + 1)
        return tuple(every) if self.encoding is None else self.encoding.epochs

    @property
    def fit(self) -> float:
        """The share of its own training files that it gets right."""
        return self.fitted / self.trained


@dataclass(frozen=True, slots=True)
class EffectCell:
    """One way to train: a victim, a countermeasure, and how many of the files are protected.

    Attributes:
        victim: its name.
        countermeasure: what the trainer does against the protection; ``none`` is a plain training.
        coverage: per cent of the training files that are protected; the others are originals.
        protected: trainings on these files, one per seed.
        control: on the originals alone, under the same countermeasure, recipe and seeds; empty
            without originals.
        alone: on those originals alone that stay unprotected or that the adversary has; empty
            where there are none.
        recipe: of all three, in words.
        upper: the best epoch of the best training on the protected files truly reaches at most
            this, in [0, 1].
        lower: the worst control truly reaches at least this at its last epoch; None without.
        verdict: on the protection in this cell.
        reason: the verdict in a sentence, with its numbers.
    """

    victim: str
    countermeasure: str
    coverage: int
    protected: tuple[Training, ...]
    control: tuple[Training, ...]
    alone: tuple[Training, ...]
    recipe: str
    upper: float
    lower: float | None
    verdict: EffectVerdict
    reason: str

    @property
    def reached(self) -> int:
        """Correct test images at the best epoch of the best training: what an adversary gets."""
        return max(training.best for training in self.protected)

    @property
    def control_reached(self) -> int | None:
        """Correct test images at the last epoch of the worst control; None without controls."""
        return min((training.last for training in self.control), default=None)


@dataclass(frozen=True, slots=True)
class EffectReport:
    """Everything `ue evaluate` measured.

    Attributes:
        cells: in the order in which they were asked for.
        tests: clean test images.
        train_files: files that each training sees.
        classes: of the data set.
        chance: accuracy of guessing: the largest class's share of the test images.
        confidence: of each Clopper–Pearson interval.
        test_source: where the clean test images come from, in words.
        detectability: what linear classifiers tell apart; None without originals or with few files.
        device: where it ran.
        data_sha256: of what was trained on and tested on.
        seconds: wall time.
    """

    cells: tuple[EffectCell, ...]
    tests: int
    train_files: int
    classes: int
    chance: float
    confidence: float
    test_source: str
    detectability: Detectability | None
    device: str
    data_sha256: str
    seconds: float
