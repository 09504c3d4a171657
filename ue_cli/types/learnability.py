"""Certificates of learnability: what was drawn, what it bounds, and what it was compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scaling = Literal["absolute", "relative"]
"""Noise in units of the weights (as published), or of each filter's own size."""

Verdict = Literal["informative", "uninformative", "abstain", "no-control"]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """The setting of a certificate; fixed before the first draw (Wang et al., NDSS 2025).

    Attributes:
        sigma: standard deviation of the weight noise, in the units of ``scaling``.
        draws: N, how many noisy copies of the surrogate are tested.
        q: which quantile of their accuracy is bounded.
        confidence: 1 − α of one statement.
        scaling: what ``sigma`` and η are measured in.
    """

    sigma: float = 0.25
    draws: int = 1000
    q: float = 0.9
    confidence: float = 0.99
    scaling: Scaling = "absolute"


@dataclass(frozen=True, slots=True)
class EtaBound:
    """An upper bound on the q-quantile of accuracy over every weight shift of size ≤ η.

    Attributes:
        eta: L2 radius of the shift.
        quantile: q̄ = Φ(Φ⁻¹(q) + η/σ), the quantile that is bounded at no shift.
        rank: which order statistic of the N accuracies is the bound, from 1; None: abstain.
        upper: the bound, in [0, 1]; None: abstain.
    """

    eta: float
    quantile: float
    rank: int | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class NoisyCounts:
    """What the sampler found: every test image counted once per draw.

    Attributes:
        correct: of each draw, how many test images it gets right; N integers.
        tests: size of the test set.
    """

    correct: tuple[int, ...]
    tests: int


@dataclass(frozen=True, slots=True)
class SurrogateCertificate:
    """One trained surrogate, smoothed and bounded.

    Attributes:
        arm: ``protected`` or ``clean``: what it was trained on.
        training: ``plain`` or ``robust`` (under weight noise, as PUE trains).
        correct: test images that the surrogate itself gets right: A(θ̂) is this over the tests.
        fit: share of its own (augmented) training files that it gets right.
        weight_norm: L2 norm of all weights that noise is added to.
        counts: the draws.
        bounds: one statement per η, as published: each holds with the confidence by itself.
        simultaneous: all η at once (Bonferroni over the grid).
        population: for unseen images of the same kind, not for this test set only.
        lower: lower bound on its own q-quantile at no shift, same confidence; None: abstain.
        sha256: of its weights.
    """

    arm: str
    training: str
    correct: int
    fit: float
    weight_norm: float
    counts: NoisyCounts
    bounds: tuple[EtaBound, ...]
    simultaneous: tuple[EtaBound, ...]
    population: tuple[EtaBound, ...]
    lower: float | None
    sha256: str

    @property
    def accuracy(self) -> float:
        """A(θ̂), on the clean test images."""
        return self.correct / self.counts.tests


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """Where the recovery attack ends within one radius of the protected surrogate's weights.

    Attributes:
        eta: the radius, in the units of the certificate.
        accuracy: of the attacked network on the clean test images, in [0, 1].
        distance: how far its weights moved; at most ``eta`` but for rounding.
        bound: what is certified at this radius (per η); None: abstain.
    """

    eta: float
    accuracy: float
    distance: float
    bound: float | None


@dataclass(frozen=True, slots=True)
class RecoveryCheck:
    """The recovery attack on the certified surrogate: the sanity check of its certificate.

    Attributes:
        images: clean images that the attacker fine-tunes on; no test image among them.
        epochs: passes over them for each radius.
        points: one per radius, in their order.
    """

    images: int
    epochs: int
    points: tuple[RecoveryPoint, ...]


@dataclass(frozen=True, slots=True)
class LearnabilityCertificate:
    """The certified (q, η)-learnability of a data set, beside its clean control.

    Attributes:
        setting: fixed before the first draw.
        protected: the surrogate trained on the protected files.
        control: the one trained on the originals, same recipe and seed; None without originals.
        max_eta: the largest radius that N draws can certify.
        training_distance: L2 distance of two independent trainings on the protected files, in
            the units of η; None where only one was trained.
        sigma_rule: how σ was chosen, in words.
        recovery: the attack on the protected surrogate; None without originals to attack with.
        verdict: whether the bound says anything about the protection.
        reason: the verdict in a sentence, with its numbers.
    """

    setting: Smoothing
    protected: SurrogateCertificate
    control: SurrogateCertificate | None
    max_eta: float
    training_distance: float | None
    sigma_rule: str
    recovery: RecoveryCheck | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class RunsCertificate:
    """K independent trainings: a bound on the q-quantile of their accuracy (Wilks 1941).

    Attributes:
        runs: K, fixed before the first training.
        q: the share of such trainings that the statement speaks about.
        confidence: 1 − q^K for the largest of K.
        tests: size of the clean test set.
        protected: correct test images of each training on the protected files.
        control: of each training on the originals; empty without originals.
        protected_fit, control_fit: the share of its own files that each training fits.
        upper: at least q of all such trainings on the protected files reach at most this.
        control_lower: at least q of those on the originals reach at least this; None without.
        protected_best: best epoch of each training, correct test images: early stopping.
        distribution: of the trainings, in words: what varies and what does not.
    """

    runs: int
    q: float
    confidence: float
    tests: int
    protected: tuple[int, ...]
    control: tuple[int, ...]
    protected_fit: tuple[float, ...]
    control_fit: tuple[float, ...]
    upper: float
    control_lower: float | None
    protected_best: tuple[int, ...]
    distribution: str


@dataclass(frozen=True, slots=True)
class CertifyReport:
    """Everything `ue certify` measured, for the report.

    Attributes:
        smoothed: one certificate per surrogate training (plain, robust) and scaling.
        runs: the training-run certificate; None where none was asked for.
        train_files, test_files: how many images trained and tested.
        test_source: where the clean test images come from, in words.
        device: where it ran.
        recipe: of the surrogate, in words.
        data_sha256: of what was trained on and tested on.
        seconds: wall time.
    """

    smoothed: tuple[LearnabilityCertificate, ...]
    runs: RunsCertificate | None
    train_files: int
    test_files: int
    test_source: str
    device: str
    recipe: str
    data_sha256: str
    seconds: float
