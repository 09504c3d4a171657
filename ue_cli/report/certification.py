"""What `ue certify` found, as the report tells it, and as ``certificate.json`` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ue_cli.report.values import dumps, load_as, plain
from ue_cli.types import CertifyReport, EtaBound, SurrogateCertificate, Verdict

CERTIFICATE_SCHEMA = "ue-certificate/1"


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
        arms = ((one.protected, one.control) for one in self.measured.smoothed)
        return tuple(arm for pair in arms for arm in pair if arm is not None)


def dump(certification: Certification) -> str:
    """Format ``certificate.json``, the N counts of every surrogate included."""
    return dumps({"schema": CERTIFICATE_SCHEMA} | plain(certification)) + "\n"


def load(text: str) -> Certification:
    """Read what `dump` wrote.

    Raises:
        ValueError: it is no certificate, one of another version, or damaged.
    """
    return load_as(Certification, CERTIFICATE_SCHEMA, text)


def summary(certification: Certification) -> dict[str, Any]:
    """What report.json says of it: verdicts, bounds and sentences, without the counts."""
    measured = certification.measured
    runs = measured.runs
    return {
        "file": "certificate.json",
        "when": certification.when,
        "code_version": certification.code_version,
        "output_sha256": certification.output_sha256,
        "data_sha256": measured.data_sha256,
        "test_files": measured.test_files,
        "runs": None
        if runs is None
        else {
            "verdict": certification.runs_verdict,
            "sentence": certification.runs_sentence,
            "reason": certification.runs_reason,
            "not_covered": list(certification.runs_not_covered),
            "runs": runs.runs,
            "q": runs.q,
            "confidence": runs.confidence,
            "upper": runs.upper,
            "control_lower": runs.control_lower,
        },
        "smoothed": [
            {
                "training": one.protected.training,
                **plain(one.setting),
                "verdict": one.verdict,
                "reason": one.reason,
                "max_eta": one.max_eta,
                "accuracy": one.protected.accuracy,
                "control_accuracy": None if one.control is None else one.control.accuracy,
                "control_lower": None if one.control is None else one.control.lower,
                "recovery": None if one.recovery is None else plain(one.recovery),
                **{
                    kind: _bounds(one.protected, one.control, kind)
                    for kind in ("bounds", "simultaneous", "population")
                },
                "statements": plain(statements),
            }
            for one, statements in zip(measured.smoothed, certification.statements, strict=True)
        ],
        "not_covered": list(certification.not_covered),
    }


def _bounds(
    protected: SurrogateCertificate, control: SurrogateCertificate | None, kind: str
) -> list[dict[str, float | None]]:
    def by_eta(surrogate: SurrogateCertificate | None) -> dict[float, float | None]:
        found: tuple[EtaBound, ...] = () if surrogate is None else getattr(surrogate, kind)
        return {bound.eta: bound.upper for bound in found}

    beside = by_eta(control)
    return [
        {"eta": eta, "protected": upper, "control": beside.get(eta)}
        for eta, upper in by_eta(protected).items()
    ]
