"""The confidence is what it says: 10,000 repetitions on distributions whose quantiles are known.

Every check is two-sided. Where theory gives the exact coverage the frequency must meet it, so a
rank that is one too low fails, and so does one that is one too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from ue_cli.certificates.runs import certify_runs
from ue_cli.certificates.smoothing import (
    certify_eta,
    certify_grid,
    certify_population,
    certify_simultaneous,
    lower_quantile,
    population_upper,
    shifted_quantile,
)
from ue_cli.types import EtaBound, NoisyCounts, RunsCertificate, Smoothing

REPETITIONS = 10_000
FINE = 10**9
"""Test images; so many that equal counts do not happen."""
SETTING = Smoothing(sigma=0.25, draws=200, q=0.7, confidence=0.95)
ETA = 0.2

Counts = NDArray[np.int64]
Grid = Callable[[NoisyCounts, Sequence[float], Smoothing], tuple[EtaBound, ...]]


def met(frequency: float, probability: float) -> bool:
    """Within four standard errors, and never exact by being trivial."""
    error = sqrt(probability * (1 - probability) / REPETITIONS)
    return bool(0 < probability < 1 and abs(frequency - probability) <= 4 * error)


def at_rank(counts: Counts, bound: Callable[[NoisyCounts], float | None], tests: int) -> Counts:
    """Bound every row, in counts.

    Which order statistic the bound is does not depend on the counts: it is read off a row of
    distinct ones, then taken from all rows at once, and some rows are bounded one by one.
    """
    n = counts.shape[1]
    shown = bound(NoisyCounts(tuple(range(n)), n))
    assert shown is not None
    index = round(shown * n)
    bounds = np.partition(counts, index, axis=1)[:, index]
    for row, expected in zip(counts[:25], bounds, strict=False):
        alone = bound(NoisyCounts(tuple(row.tolist()), tests))
        assert alone is not None
        assert round(alone * tests) == expected
    return bounds


def upper(eta: float, setting: Smoothing) -> Callable[[NoisyCounts], float | None]:
    return lambda counts: certify_eta(counts, eta, setting).upper


def lower(setting: Smoothing) -> Callable[[NoisyCounts], float | None]:
    return lambda counts: lower_quantile(counts, setting)


def noisy_scores(seed: int) -> NDArray[np.float64]:
    """Draw w·ξ for a unit vector w, in the repetitions and draws of the setting."""
    noise = np.random.default_rng(seed).standard_normal((REPETITIONS, SETTING.draws))
    return SETTING.sigma * noise


def accuracy(score: NDArray[np.float64]) -> Counts:
    """A model whose accuracy grows with w·θ: the worst shift is along w, and nothing is lost."""
    return np.asarray(np.floor(FINE * ndtr(score)), np.int64)


def test_the_worst_shift_is_covered_and_not_by_more_than_the_theory_allows() -> None:
    """The theorem end to end, at equality: shift, draw at no shift, compare at the worst shift."""
    bounds = at_rank(accuracy(noisy_scores(1)), upper(ETA, SETTING), FINE)
    worst = accuracy(np.asarray(SETTING.sigma * ndtri(SETTING.q) + ETA))
    q_bar = shifted_quantile(SETTING.q, ETA, SETTING.sigma)
    rank = certify_eta(NoisyCounts((0,) * 200, 1), ETA, SETTING).rank
    assert rank is not None
    exact = float(binom.cdf(rank - 1, SETTING.draws, q_bar))
    assert 0.95 <= exact < 0.98
    assert met(float(np.mean(bounds >= worst)), exact)
    beyond = accuracy(np.asarray(SETTING.sigma * ndtri(SETTING.q) + 1.5 * ETA))
    assert np.mean(bounds >= beyond) < 0.5


def test_a_shift_in_any_other_direction_is_covered_too() -> None:
    """A model that is best at the surrogate: a shift only makes it worse."""
    accuracies = np.floor(FINE * np.exp(-(noisy_scores(2) ** 2))).astype(np.int64)
    bounds = at_rank(accuracies, upper(ETA, SETTING), FINE)
    shifted = np.random.default_rng(3).standard_normal(200_000) * SETTING.sigma + ETA
    quantile = FINE * np.quantile(np.exp(-(shifted**2)), SETTING.q)
    assert np.mean(bounds >= quantile) > 0.999


def atoms(seed: int, high: float) -> Counts:
    """Draw 90 of 100 with the chance given, else 10."""
    draws = np.random.default_rng(seed).random((REPETITIONS, SETTING.draws))
    return np.where(draws < high, 90, 10).astype(np.int64)


def test_two_atoms_are_covered_on_either_side_of_the_quantile() -> None:
    """The hardest ties: the quantile is the upper atom, and only just."""
    q_bar = shifted_quantile(SETTING.q, ETA, SETTING.sigma)
    bound = upper(ETA, SETTING)
    rank = certify_eta(NoisyCounts((0,) * 200, 1), ETA, SETTING).rank
    assert rank is not None
    high = 1 - q_bar + 1e-6
    frequency = float(np.mean(at_rank(atoms(4, high), bound, 100) == 90))
    assert met(frequency, float(binom.cdf(rank - 1, SETTING.draws, 1 - high)))
    assert frequency >= 0.95
    below = at_rank(atoms(5, 0.5 * high), bound, 100)
    assert np.mean(below >= 10) == 1
    assert np.mean(below == 10) > 0.3


@pytest.mark.parametrize("chance", [0.1, 0.5])
def test_counts_of_a_small_test_set_are_covered(chance: float) -> None:
    """Twenty test images: nearly every count is a tie."""
    rng = np.random.default_rng(6)
    counts = rng.binomial(20, chance, (REPETITIONS, SETTING.draws))
    q_bar = shifted_quantile(SETTING.q, ETA, SETTING.sigma)
    bounds = at_rank(counts, upper(ETA, SETTING), 20)
    quantile = binom.ppf(q_bar, 20, chance)
    assert np.mean(bounds >= quantile) >= 0.95
    assert np.mean(bounds > quantile + 1) < 0.05
    low = at_rank(counts, lower(SETTING), 20)
    quantile = binom.ppf(SETTING.q, 20, chance)
    assert np.mean(low <= quantile) >= 0.95
    assert np.mean(low < quantile - 1) < 0.05


def test_the_lower_bound_of_the_control_is_covered() -> None:
    bounds = at_rank(accuracy(noisy_scores(7)), lower(SETTING), FINE)
    quantile = accuracy(np.asarray(SETTING.sigma * ndtri(SETTING.q)))
    index = round((lower_quantile(NoisyCounts(tuple(range(200)), 200), SETTING) or 0) * 200)
    exact = 1 - float(binom.cdf(index, SETTING.draws, SETTING.q))
    assert 0.95 <= exact < 0.98
    assert met(float(np.mean(bounds <= quantile)), exact)


def test_simultaneous_bounds_hold_together_and_published_ones_do_not() -> None:
    """Six radii far apart: each published bound holds by itself, all of them hold less often."""
    etas = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
    setting = replace(SETTING, confidence=0.9)
    counts = accuracy(noisy_scores(8))
    worst = accuracy(setting.sigma * ndtri(setting.q) + np.asarray(etas))

    def hold_together(certify: Grid) -> float:
        def nth(i: int) -> Callable[[NoisyCounts], float | None]:
            return lambda counts: certify(counts, etas, setting)[i].upper

        held = [at_rank(counts, nth(i), FINE) >= quantile for i, quantile in enumerate(worst)]
        assert all(np.mean(one) >= 0.9 for one in held)
        return float(np.mean(np.all(held, axis=0)))

    assert hold_together(certify_grid) < 0.85
    assert 0.9 <= hold_together(certify_simultaneous) < 0.98


def test_the_population_is_covered_where_the_test_set_alone_is_not() -> None:
    """Models of skill s get right what is no harder than s: one unlucky test set misleads all.

    Skill is the accuracy on the population and grows with w·ξ, so its worst quantile is known.
    """
    tests = 60
    rng = np.random.default_rng(9)
    skills = ndtr(noisy_scores(10) - 1)
    hardness = np.sort(rng.random((REPETITIONS, tests)))
    counts = np.stack(
        [np.searchsorted(h, s) for h, s in zip(hardness, skills, strict=True)]
    ).astype(np.int64)
    worst = float(ndtr(SETTING.sigma * ndtri(SETTING.q) + ETA - 1))
    naive = at_rank(counts, upper(ETA, SETTING), tests) / tests
    assert np.mean(naive >= worst) < 0.8
    stated = np.asarray(
        [
            certify_population(NoisyCounts(tuple(row), tests), (ETA,), SETTING)[0].upper
            for row in counts.tolist()
        ],
        float,
    )
    assert np.mean(stated >= worst) >= 0.95
    limits = np.array([population_upper(k, tests, 0.025, 0.01) for k in range(tests + 1)])
    margin = limits[np.rint(naive * tests).astype(int)] - naive
    assert 0 < np.mean(stated - naive - margin) < 0.02  # the step from q̄ to q̄ + τ


def trained(counts: NoisyCounts, q: float) -> RunsCertificate:
    """The certificate of trainings that reach the same on protected files and originals."""
    fits = (1.0,) * len(counts.correct)
    return certify_runs(
        counts.correct,
        counts.correct,
        tests=counts.tests,
        q=q,
        protected_fit=fits,
        control_fit=fits,
        protected_best=counts.correct,
        distribution="",
    )


@pytest.mark.parametrize(("runs", "q"), [(5, 0.5), (29, 0.9)])
def test_the_best_and_the_worst_of_the_trainings_are_covered(runs: int, q: float) -> None:
    confidence = trained(NoisyCounts((0,) * runs, 1), q).confidence
    counts = np.random.default_rng(11).integers(0, FINE, (REPETITIONS, runs))
    best = at_rank(counts, lambda c: trained(c, q).upper, FINE)
    worst = at_rank(counts, lambda c: trained(c, q).control_lower, FINE)
    assert met(float(np.mean(best >= q * FINE)), confidence)
    assert met(float(np.mean(worst <= (1 - q) * FINE)), confidence)


def test_the_worst_countermeasure_needs_no_share_of_the_risk() -> None:
    """The largest of several bounds covers the worst quantile with the confidence of one."""
    runs, q = 5, 0.5
    rng = np.random.default_rng(14)
    counts = [rng.normal(m, 0.01, (REPETITIONS, runs)) for m in (0.3, 0.5, 0.4)]
    confidence = trained(NoisyCounts((0,) * runs, 1), q).confidence
    bounds = [
        at_rank(np.asarray(FINE * c, np.int64), lambda c: trained(c, q).upper, FINE) for c in counts
    ]
    assert met(float(np.mean(np.max(bounds, axis=0) >= 0.5 * FINE)), confidence)
