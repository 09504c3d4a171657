"""Certified (q, η)-learnability: what N noisy copies of one trained surrogate prove.

Parametric smoothing, after Wang et al., *Provably Unlearnable Data Examples*, NDSS 2025; the
quantile shift is that of Chiang et al., *Detection as Regression*, NeurIPS 2020.

θ̂ are the surrogate's weights, A(θ) is the share of the clean test images that weights θ get
right, ξ ~ N(0, σ²I). Two steps:

* Shift. For every ‖υ‖₂ ≤ η, the q-quantile of A(θ̂ + υ + ξ) is at most the q̄-quantile of
  A(θ̂ + ξ), where q̄ = Φ(Φ⁻¹(q) + η/σ). So it is for noise σD, for a fixed diagonal D, with
  ‖D⁻¹υ‖₂ ≤ η.
* Sampling. The k-th smallest of N accuracies bounds that q̄-quantile (``ranks``). Where N is too
  small for any k the certificate abstains: None, never a number.

Both hold with ties. N, q, σ, the grid of η and the surrogate are fixed before the first draw.
Nothing here bounds A(θ̂): ``statements`` says what else is not covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import expm1, inf

from scipy.special import betainccinv, log_ndtr, ndtr, ndtri

from ue_cli.certificates.ranks import bonferroni, bound_rank, draws_for, log_risk
from ue_cli.types import EtaBound, NoisyCounts, Smoothing

DEFAULT_ETAS = (
    *(0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2),
    *(0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0),
)
"""Radii for σ = 0.25, over the published span."""


def eta_grid(sigma: float, max_eta: float = inf) -> tuple[float, ...]:
    """``DEFAULT_ETAS`` in proportion to σ: from 0.004 σ to 8 σ.

    Args:
        sigma: standard deviation of the noise.
        max_eta: no radius beyond it; see ``max_certifiable_eta``.
    """
    _check_sigma(sigma)
    etas = (float(f"{eta * sigma / 0.25:.6g}") for eta in DEFAULT_ETAS)
    return tuple(eta for eta in etas if eta <= max_eta)


def shifted_quantile(q: float, eta: float, sigma: float) -> float:
    """q̄ = Φ(Φ⁻¹(q) + η/σ): bounding this quantile at θ̂ bounds the q-quantile within η of it."""
    return float(ndtr(_shifted_score(q, eta, sigma)))


def max_certifiable_eta(draws: int, q: float, sigma: float, confidence: float) -> float:
    """The radius beyond which N draws must abstain: η_max = σ(Φ⁻¹(α^{1/N}) − Φ⁻¹(q)).

    Args:
        draws: N.
        q: which quantile is bounded.
        sigma: standard deviation of the noise.
        confidence: 1 − α, where α is the risk (0.01, not 0.99).

    Returns:
        η_max; negative where N draws do not even bound the q-quantile at θ̂ itself.
    """
    if draws < 1:
        raise ValueError(f"At least one draw is needed; {draws} is too few.")
    score = _shifted_score(q, 0, sigma)
    # −Φ⁻¹(1 − x), not Φ⁻¹(x): for a large N the N-th root of α is next to 1.
    return sigma * float(-ndtri(-expm1(log_risk(confidence) / draws)) - score)


def draws_needed(eta: float, q: float, sigma: float, confidence: float) -> int | None:
    """The smallest N that certifies the radius η; None: more than 10¹⁵, out of anyone's reach."""
    return draws_for(float(log_ndtr(_shifted_score(q, eta, sigma))), confidence)


def certify_eta(counts: NoisyCounts, eta: float, setting: Smoothing) -> EtaBound:
    """Bound the accuracy of noisy models around any shift of size η: the published statement.

    With confidence 1 − α over the draws: for every ‖υ‖₂ ≤ η, P(A(θ̂ + υ + ξ) ≤ upper) ≥ q.

    Args:
        counts: N correct counts, in any order.
        eta: radius in the units of ``setting.scaling``.
        setting: q, σ, N and the confidence.

    Raises:
        ValueError: counts and setting do not belong together, or a number is out of range.
    """
    return certify_grid(counts, (eta,), setting)[0]


def certify_grid(
    counts: NoisyCounts, etas: Sequence[float], setting: Smoothing
) -> tuple[EtaBound, ...]:
    """As published: one statement per η, each with confidence 1 − α *by itself*."""
    return _bounds(counts, etas, setting, setting.confidence)


def certify_simultaneous(
    counts: NoisyCounts, etas: Sequence[float], setting: Smoothing
) -> tuple[EtaBound, ...]:
    """All η at once: with confidence 1 − α *every* bound holds, so one may pick after looking.

    Each of the n statements runs a risk of α/n (Bonferroni), and abstains sooner for it.
    """
    return _bounds(counts, etas, setting, bonferroni(setting.confidence, max(1, len(etas))))


def certify_population(
    counts: NoisyCounts,
    etas: Sequence[float],
    setting: Smoothing,
    *,
    delta: float | None = None,
    tau: float = 0.01,
) -> tuple[EtaBound, ...]:
    """For unseen images, of which the test images are an independent sample; per η.

    For one θ, its accuracy on all images exceeds ``population_upper`` of its count on m test images
    with a chance of at most δτ (Clopper and Pearson). So a share τ of the noisy models or more is
    misjudged like this with probability δ at most (Markov), and setting that share aside costs
    the step from q̄ to q̄ + τ; ``population_upper`` grows with the count, so a quantile of counts
    becomes one of bounds. The draws run the rest of the risk, α − δ: with confidence 1 − α in all,
    P(accuracy of θ̂ + υ + ξ on the population ≤ upper) ≥ q for every ‖υ‖₂ ≤ η.

    Args:
        counts: N correct counts out of m.
        etas: radii, in the units of ``setting.scaling``.
        setting: its confidence is that of the whole statement.
        delta: δ, the part of the risk α that the choice of test images runs; half of it if None.
        tau: τ, the share of noisy models that is set aside.
    """
    risk = 1 - setting.confidence
    delta = risk / 2 if delta is None else delta
    if not 0 < delta < risk:
        raise ValueError(f"δ is a part of the risk {risk:.4g}, so below it; {delta} is not.")
    for_all = partial(population_upper, tests=counts.tests, delta=delta, tau=tau)
    return _bounds(counts, etas, setting, 1 - (risk - delta), tau=tau, accuracy=for_all)


def population_upper(correct: int, tests: int, delta: float, tau: float) -> float:
    """What one model's accuracy on all images exceeds with a chance of at most δτ.

    Clopper and Pearson's upper limit, one-sided; never above Hoeffding's
    ``correct/tests + √(ln(1/δτ)/2·tests)``, and far below it near 0.

    Args:
        correct: test images that the model gets right.
        tests: m, an independent sample.
        delta: δ of ``certify_population``.
        tau: its τ.
    """
    if tests < 1 or not 0 < delta < 1 or not 0 < tau < 1:
        raise ValueError(
            "A population statement needs a test image and δ, τ between 0 and 1; "
            f"these are {tests}, {delta} and {tau}."
        )
    wrong = tests - correct
    return float(betainccinv(correct + 1, wrong, delta * tau)) if wrong else 1.0


def lower_quantile(counts: NoisyCounts, setting: Smoothing) -> float | None:
    """Bound the q-quantile of A(θ̂ + ξ) from below, at no shift: what the control must show.

    The j-th smallest of N accuracies exceeds the q-quantile only if fewer than j of them are at
    most that, which has a probability of at most BinomCDF(j − 1; N, q). This is the upper bound's
    rank for 1 − q, counted from the top.

    Returns:
        A bound in [0, 1] that holds with the confidence of the setting; None: N is too small.
    """
    ordered = _sorted_counts(counts, setting)
    _check_q(setting.q)
    rank = bound_rank(setting.draws, 1 - setting.q, setting.confidence)
    return None if rank is None else ordered[-rank] / counts.tests


def _bounds(
    counts: NoisyCounts,
    etas: Sequence[float],
    setting: Smoothing,
    confidence: float,
    *,
    tau: float = 0.0,
    accuracy: Callable[[int], float] | None = None,
) -> tuple[EtaBound, ...]:
    ordered = _sorted_counts(counts, setting)

    def bound(eta: float) -> EtaBound:
        quantile = shifted_quantile(setting.q, eta, setting.sigma)
        rank = bound_rank(setting.draws, quantile + tau, confidence)
        if rank is None:
            return EtaBound(eta, quantile, None, None)
        correct = ordered[rank - 1]
        upper = correct / counts.tests if accuracy is None else accuracy(correct)
        return EtaBound(eta, quantile, rank, upper)

    return tuple(map(bound, etas))


def _sorted_counts(counts: NoisyCounts, setting: Smoothing) -> list[int]:
    if len(counts.correct) != setting.draws:
        raise ValueError(
            f"The setting fixes {setting.draws:,} draws before the first one; "
            f"{len(counts.correct):,} were counted."
        )
    ordered = sorted(counts.correct)
    if not ordered or counts.tests < 1 or ordered[0] < 0 or ordered[-1] > counts.tests:
        raise ValueError(
            f"There are N counts from 0 to the {counts.tests:,} test images; "
            f"these are {ordered[:1]} to {ordered[-1:]}."
        )
    return ordered


def _shifted_score(q: float, eta: float, sigma: float) -> float:
    """Φ⁻¹(q) + η/σ."""
    _check_sigma(sigma)
    _check_q(q)
    if not 0 <= eta < inf:
        raise ValueError(f"A radius η is 0 or more, and finite; {eta} is not.")
    return float(ndtri(q)) + eta / sigma


def _check_q(q: float) -> None:
    if not 0 < q < 1:
        raise ValueError(f"q lies between 0 and 1, excluded; {q} does not.")


def _check_sigma(sigma: float) -> None:
    if not 0 < sigma < inf:
        raise ValueError(f"The noise σ must be above 0 and finite; {sigma} is not.")
