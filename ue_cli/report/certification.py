"""What `ue certify` measured, as ``certificate.json`` holds it and the report tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ue_cli.types import CertifyReport, SurrogateCertificate, Verdict


@dataclass(frozen=True, slots=True)
class Statements:
    """What the bounds of one smoothing certificate claim, each as a sentence with its numbers.

    Attributes:
        each: every η by itself, as published.
        simultaneous: all η at once.
        population: for unseen images of the same kind.
    """

    each: str
    simultaneous: str
    population: str


@dataclass(frozen=True, slots=True)
class Certification:
    """A finished `ue certify`, with the words for it. Values only; nothing here is computed.

    Attributes:
        measured: bounds, counts and setting.
        dataset: the folder's name.
        when: ISO 8601 time with its offset.
        code_version: of `ue`, as exact as it is known.
        command: the command line that repeats it.
        output_sha256: the manifest's hash (`Manifest.sha256`) of the published files that this is
            about; None where the folder has no manifest.
        chance: accuracy of guessing, in [0, 1]: the largest class's share of the test images.
        statements: of each of ``measured.smoothed``, in their order.
        intervals: Clopper–Pearson interval of A(θ̂), by the surrogate's SHA-256.
        interval_confidence: of each of these.
        runs_verdict: on the training-run certificate; None where there is none.
        runs_sentence: that certificate as the sentence an owner can use; empty where none.
        runs_reason: why the verdict on it is what it is, with the numbers.
        runs_not_covered: what it does not speak about, a sentence each.
        not_covered: the same for the smoothing certificates.

    Raises:
        ValueError: these do not belong together.
    """

    measured: CertifyReport
    dataset: str
    when: str
    code_version: str
    command: str
    output_sha256: str | None
    chance: float
    statements: tuple[Statements, ...]
    intervals: Mapping[str, tuple[float, float]]
    interval_confidence: float
    runs_verdict: Verdict | None
    runs_sentence: str
    runs_reason: str
    runs_not_covered: tuple[str, ...]
    not_covered: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.statements) != len(self.measured.smoothed):
            raise ValueError("expected the statements of each smoothing certificate")
        if (self.runs_verdict is None) != (self.measured.runs is None):
            raise ValueError("expected a verdict on the trainings exactly where there are some")
        for surrogate in self.surrogates:
            if surrogate.counts.tests < 1 or surrogate.sha256 not in self.intervals:
                raise ValueError("expected tests and an interval for each surrogate")
        runs = self.measured.runs
        if runs is not None:
            if runs.tests < 1 or not runs.protected:
                raise ValueError("expected trainings and tests")
            if not len(runs.protected) == len(runs.protected_fit) == len(runs.protected_best):
                raise ValueError("expected as many fits and best epochs as trainings")
            if len(runs.control) != len(runs.control_fit):
                raise ValueError("expected as many fits as control trainings")

    @property
    def surrogates(self) -> tuple[SurrogateCertificate, ...]:
        """Every surrogate that was smoothed, in order."""
        pairs = ((pair.protected, pair.control) for pair in self.measured.smoothed)
        return tuple(arm for pair in pairs for arm in pair if arm is not None)
