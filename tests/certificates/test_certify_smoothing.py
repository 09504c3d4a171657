"""The bound of algorithms.md §4 against worked cases, other derivations and its own properties."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import comb, inf, nan
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv
from scipy.stats import binom

from ue_cli.certificates.ranks import bonferroni, bound_rank
from ue_cli.certificates.smoothing import (
    DEFAULT_ETAS,
    certify_eta,
    certify_grid,
    certify_population,
    certify_simultaneous,
    draws_needed,
    eta_grid,
    lower_quantile,
    max_certifiable_eta,
    population_upper,
    shifted_quantile,
)
from ue_cli.types import NoisyCounts, Smoothing

PUBLISHED = Smoothing()
"""q 0.9, σ 0.25, N 1000, confidence 0.99."""
LADDER = NoisyCounts(tuple(range(1000)), 1000)
"""The k-th smallest count is k − 1: the bound shows its 0-based index."""

qs = st.floats(0.02, 0.98)
confidences = st.floats(0.5, 0.999)
sigmas = st.floats(1e-3, 10)
draw_numbers = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("eta", "index"), [(0.05, 949), (0.1, 968), (0.2, 990), (0.3, 999), (0.35, None)]
)
def test_the_published_setting_takes_the_worked_indices(eta: float, index: int | None) -> None:
    found = certify_eta(LADDER, eta, PUBLISHED)
    if index is None:
        assert (found.rank, found.upper) == (None, None)
    else:
        assert (found.rank, found.upper) == (index + 1, index / 1000)
    assert found.quantile == pytest.approx(
        NormalDist().cdf(NormalDist().inv_cdf(0.9) + eta / 0.25), abs=1e-12
    )


@pytest.mark.parametrize(
    ("q", "reach"),
    [
        (0.5, (1.695, 2.605, 3.314)),
        (0.7, (1.171, 2.081, 2.789)),
        (0.9, (0.414, 1.323, 2.032)),
        (0.95, (0.050, 0.960, 1.669)),
    ],
)
def test_the_largest_radius_is_the_tabulated_one(q: float, reach: tuple[float, ...]) -> None:
    found = [max_certifiable_eta(draws, q, 1.0, 0.99) for draws in (100, 1000, 10_000)]
    assert found == pytest.approx(reach, abs=5e-4)


def test_the_published_setting_reaches_as_far_as_stated() -> None:
    assert max_certifiable_eta(1000, 0.9, 0.25, 0.99) == pytest.approx(0.331, abs=5e-4)
    assert draws_needed(0.5, 0.9, 0.25, 0.99) == pytest.approx(8.9e3, rel=0.01)
    assert draws_needed(1.0, 0.9, 0.25, 0.99) == pytest.approx(7e7, rel=0.05)
    assert draws_needed(2.0, 0.9, 0.25, 0.99) is None
    assert draws_needed(50.0, 0.9, 0.25, 0.99) is None
    together = max_certifiable_eta(1000, 0.9, 0.25, bonferroni(0.99, 26))
    assert together == pytest.approx(0.284, abs=5e-4)
    assert max_certifiable_eta(10, 0.9, 0.25, 0.99) < 0


def exact_rank(draws: int, quantile: Fraction, confidence: Fraction) -> int | None:
    """Add up the binomial distribution in rational numbers."""
    below = Fraction(0)
    for k in range(1, draws + 1):
        below += comb(draws, k - 1) * quantile ** (k - 1) * (1 - quantile) ** (draws - k + 1)
        if below >= confidence:
            return k
    return None


@settings(deadline=None, max_examples=60)
@given(draws=st.integers(1, 40), percent=st.integers(1, 99), risk=st.integers(1, 99))
def test_the_rank_is_that_of_exact_arithmetic(draws: int, percent: int, risk: int) -> None:
    expected = exact_rank(draws, Fraction(percent, 100), 1 - Fraction(risk, 100))
    assert bound_rank(draws, percent / 100, 1 - risk / 100) == expected


def test_a_risk_that_is_met_exactly_is_enough() -> None:
    for quantile in (0.5, 0.6, 0.7, 0.9):
        for draws in range(1, 20):
            assert bound_rank(draws, quantile, 1 - quantile**draws) == draws


@pytest.mark.parametrize("draws", [10**4, 10**6, 10**8])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.9995])
def test_the_rank_of_a_huge_sample_is_the_smallest_that_serves(draws: int, quantile: float) -> None:
    rank = bound_rank(draws, quantile, 0.99)
    assert rank is not None
    assert binom.cdf(rank - 1, draws, quantile) >= 0.99 - 1e-9
    assert binom.cdf(rank - 2, draws, quantile) < 0.99


@settings(deadline=None)
@given(draws=draw_numbers, quantile=qs, confidence=confidences)
def test_the_rank_is_that_of_the_beta_form(draws: int, quantile: float, confidence: float) -> None:
    """The quantile is below BetaInv(α; k, N − k + 1) for this k, not for the one before it."""
    rank = bound_rank(draws, quantile, confidence)
    last = draws if rank is None else rank - 1
    if rank is not None:
        assert quantile <= betaincinv(rank, draws - rank + 1, 1 - confidence) + 1e-9
    if last:
        assert quantile > betaincinv(last, draws - last + 1, 1 - confidence) - 1e-9


def published_bound(
    accuracies: list[float], q: float, eta: float, sigma: float, risk: float
) -> float | None:
    """The paper's procedure, read literally: shift, sort, binary search over the binomial."""
    shifted = NormalDist().cdf(NormalDist().inv_cdf(q) + eta / sigma)
    accuracies = sorted(accuracies)
    n = len(accuracies)
    if 1 - shifted**n < 1 - risk:
        return None
    wrong, right = 0, n
    while right - wrong > 1:
        middle = (wrong + right) // 2
        if binom.cdf(middle - 1, n, shifted) >= 1 - risk:
            right = middle
        else:
            wrong = middle
    return accuracies[right - 1]


@pytest.mark.parametrize("seed", range(5))
def test_random_scores_get_the_published_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tests = int(rng.integers(20, 10_000))
    draws = int(rng.integers(50, 2000))
    counts = NoisyCounts(tuple(rng.binomial(tests, rng.beta(2, 8, draws)).tolist()), tests)
    setting = Smoothing(0.25, draws, float(rng.uniform(0.5, 0.95)), 0.99)
    found = certify_grid(counts, DEFAULT_ETAS, setting)
    accuracies = [count / tests for count in counts.correct]
    expected = [published_bound(accuracies, setting.q, e, 0.25, 0.01) for e in DEFAULT_ETAS]
    assert [bound.upper for bound in found] == expected
    assert None in expected
    assert len(set(expected)) > 3


@settings(deadline=None)
@given(q=qs, sigma=sigmas, confidence=confidences, draws=draw_numbers)
def test_abstention_begins_exactly_past_the_largest_radius(
    q: float, sigma: float, confidence: float, draws: int
) -> None:
    largest = max_certifiable_eta(draws, q, sigma, confidence)
    step = 1e-6 * sigma
    assume(largest > step)
    counts = NoisyCounts((1,) * draws, 10)
    setting = Smoothing(sigma, draws, q, confidence)
    assert certify_eta(counts, largest - step, setting).upper == 0.1
    assert certify_eta(counts, largest + step, setting).upper is None


@settings(deadline=None)
@given(q=qs, sigma=sigmas, confidence=confidences, ratio=st.floats(0, 3))
def test_the_draws_needed_reach_the_radius_and_one_less_does_not(
    q: float, sigma: float, confidence: float, ratio: float
) -> None:
    eta = ratio * sigma
    needed = draws_needed(eta, q, sigma, confidence)
    assert needed is not None
    assert max_certifiable_eta(needed, q, sigma, confidence) >= eta - 1e-9 * sigma
    if needed > 1:
        assert max_certifiable_eta(needed - 1, q, sigma, confidence) < eta + 1e-9 * sigma


def loose(bound: float | None) -> float:
    """An abstention is the loosest bound."""
    return 2.0 if bound is None else bound


samples = st.lists(st.integers(0, 50), min_size=1, max_size=400)


@settings(deadline=None)
@given(correct=samples, q=qs, confidence=confidences, data=st.data())
def test_the_bound_grows_with_each_demand_and_knows_no_order(
    correct: list[int], q: float, confidence: float, data: st.DataObject
) -> None:
    setting = Smoothing(0.25, len(correct), q, confidence)
    counts = NoisyCounts(tuple(correct), 50)
    base = certify_grid(counts, DEFAULT_ETAS, setting)
    uppers = [loose(bound.upper) for bound in base]
    assert uppers == sorted(uppers)
    higher_q = replace(setting, q=data.draw(st.floats(q, 0.99)))
    surer = replace(setting, confidence=data.draw(st.floats(confidence, 0.9999)))
    for harder in (
        certify_grid(counts, DEFAULT_ETAS, higher_q),
        certify_grid(counts, DEFAULT_ETAS, surer),
        certify_simultaneous(counts, DEFAULT_ETAS, setting),
        certify_population(counts, DEFAULT_ETAS, setting),
    ):
        assert all(loose(h.upper) >= loose(b.upper) for h, b in zip(harder, base, strict=True))
    shuffled = NoisyCounts(tuple(data.draw(st.permutations(correct))), 50)
    assert certify_grid(shuffled, DEFAULT_ETAS, setting) == base
    low = lower_quantile(counts, setting)
    assert low is None or low <= loose(certify_eta(counts, 0, setting).upper)


def test_the_lower_bound_is_the_upper_one_in_a_mirror() -> None:
    mirrored = NoisyCounts(tuple(1000 - count for count in LADDER.correct), 1000)
    upper = certify_eta(mirrored, 0, replace(PUBLISHED, q=0.3)).upper
    lower = lower_quantile(LADDER, replace(PUBLISHED, q=0.7))
    assert upper is not None
    assert lower == pytest.approx(1 - upper, abs=1e-12)
    few = replace(PUBLISHED, q=0.3, draws=12)
    assert 0.7**12 > 0.01
    assert lower_quantile(NoisyCounts((5,) * 12, 10), few) is None
    assert lower_quantile(NoisyCounts((5,) * 13, 10), replace(few, draws=13)) == 0.5


def test_simultaneous_bounds_spend_the_risk_once() -> None:
    etas = (0.05, 0.1, 0.2, 0.3)
    each = certify_grid(LADDER, etas, replace(PUBLISHED, confidence=0.9975))
    assert certify_simultaneous(LADDER, etas, PUBLISHED) == each
    assert certify_simultaneous(LADDER, (0.1,), PUBLISHED) == certify_grid(
        LADDER, (0.1,), PUBLISHED
    )
    assert certify_simultaneous(LADDER, (), PUBLISHED) == ()


@pytest.mark.parametrize(("tests", "hoeffding"), [(10_000, 0.022), (200, 0.157)])
def test_one_model_is_bounded_exactly_and_below_hoeffding(tests: int, hoeffding: float) -> None:
    """The limit is where so few correct have a chance of δτ; Hoeffding's are worked by hand."""
    for correct in (0, tests // 10, tests // 2, tests - 1):
        limit = population_upper(correct, tests, 0.005, 0.01)
        assert binom.cdf(correct, tests, limit) == pytest.approx(5e-5, rel=1e-6)
        assert correct / tests < limit < correct / tests + hoeffding + 5e-4
    assert population_upper(tests, tests, 0.005, 0.01) == 1.0


def test_the_population_statement_splits_the_risk() -> None:
    """Half of α goes to the test set by default, and the rank is that of q̄ + τ with the rest."""
    counts = NoisyCounts(LADDER.correct, 2000)
    (found,) = certify_population(counts, (0.1,), PUBLISHED, tau=0.01)
    q_bar = shifted_quantile(0.9, 0.1, 0.25)
    rank = bound_rank(1000, q_bar + 0.01, 0.995)
    assert rank is not None
    assert (found.quantile, found.rank) == (q_bar, rank)
    assert found.upper == population_upper(rank - 1, 2000, 0.005, 0.01)
    (other,) = certify_population(LADDER, (0.1,), PUBLISHED, delta=0.002)
    assert other.rank == bound_rank(1000, q_bar + 0.01, 0.992)
    (far,) = certify_population(LADDER, (0.3,), PUBLISHED)
    assert far.upper is None
    full = NoisyCounts((10,) * 1000, 10)
    (capped,) = certify_population(full, (0.0,), PUBLISHED)
    assert capped.upper == 1.0


def test_the_grid_follows_sigma() -> None:
    assert eta_grid(0.25) == DEFAULT_ETAS
    assert (DEFAULT_ETAS[0], DEFAULT_ETAS[-1]) == (0.001, 2.0)
    assert eta_grid(0.5) == tuple(2 * eta for eta in DEFAULT_ETAS)
    assert eta_grid(0.25, 0.331)[-1] == 0.3
    assert eta_grid(0.25, -0.1) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"q": 0.0}, "q lies between"),
        ({"q": nan}, "q lies between"),
        ({"sigma": 0.0}, "σ must be above 0"),
        ({"sigma": inf}, "σ must be above 0"),
        ({"confidence": 1.0}, "confidence lies between"),
        ({"draws": 999}, "fixes 999 draws before the first one; 1,000 were counted"),
    ],
)
def test_a_setting_out_of_range_is_refused(change: dict[str, float], words: str) -> None:
    setting = replace(PUBLISHED, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        certify_eta(LADDER, 0.1, setting)
    if "sigma" not in change:
        with pytest.raises(ValueError, match=words):
            lower_quantile(LADDER, setting)


@pytest.mark.parametrize("eta", [-0.1, nan, inf])
def test_a_radius_out_of_range_is_refused(eta: float) -> None:
    with pytest.raises(ValueError, match="radius"):
        certify_eta(LADDER, eta, PUBLISHED)


@pytest.mark.parametrize(
    "counts", [NoisyCounts((5, 11), 10), NoisyCounts((-1, 5), 10), NoisyCounts((0, 0), 0)]
)
def test_counts_out_of_range_are_refused(counts: NoisyCounts) -> None:
    with pytest.raises(ValueError, match="test images"):
        certify_eta(counts, 0.1, replace(PUBLISHED, draws=2))


def test_other_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="counts from 0"):
        certify_eta(NoisyCounts((), 10), 0.1, replace(PUBLISHED, draws=0))
    with pytest.raises(ValueError, match="too few"):
        max_certifiable_eta(0, 0.9, 0.25, 0.99)
    with pytest.raises(ValueError, match="too few"):
        bound_rank(0, 0.9, 0.99)
    with pytest.raises(ValueError, match="quantile"):
        bound_rank(10, 0.0, 0.99)
    with pytest.raises(ValueError, match="below it"):
        certify_population(LADDER, (0.1,), PUBLISHED, delta=0.02)
    with pytest.raises(ValueError, match="between 0 and 1"):
        certify_population(LADDER, (0.1,), PUBLISHED, tau=0.0)
    with pytest.raises(ValueError, match="share the risk"):
        bonferroni(0.99, 0)
