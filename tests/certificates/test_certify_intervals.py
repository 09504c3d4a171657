from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from ue_cli.certificates.intervals import clopper_pearson


def test_the_interval_of_a_known_table() -> None:
    """81 of 263, from R. G. Newcombe, Statistics in Medicine 17, 1998, table I."""
    assert clopper_pearson(81, 263, 0.95) == pytest.approx((0.2527, 0.3676), abs=5e-5)


def test_none_right_and_all_right_have_the_closed_form() -> None:
    end = 0.025 ** (1 / 30)
    assert clopper_pearson(0, 30, 0.95) == pytest.approx((0.0, 1 - end))
    assert clopper_pearson(30, 30, 0.95) == pytest.approx((end, 1.0))


@pytest.mark.parametrize(("correct", "tests"), [(1, 20), (7, 50), (4321, 10_000)])
def test_each_end_is_where_its_tail_begins(correct: int, tests: int) -> None:
    low, high = clopper_pearson(correct, tests, 0.99)
    assert binom.sf(correct - 1, tests, low) == pytest.approx(0.005)
    assert binom.cdf(correct, tests, high) == pytest.approx(0.005)


@pytest.mark.parametrize("accuracy", [0.0, 0.03, 0.5, 0.83, 1.0])
def test_the_coverage_added_up_is_the_confidence_or_more(accuracy: float) -> None:
    ends = np.asarray([clopper_pearson(count, 60, 0.9) for count in range(61)])
    chances = binom.pmf(np.arange(61), 60, accuracy)
    covered = (ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])
    assert chances[covered].sum() >= 0.9
    if 0.1 < accuracy < 0.9:
        assert chances[covered].sum() < 0.96


@pytest.mark.parametrize(
    ("correct", "tests", "confidence"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 5, 1.0)]
)
def test_what_is_no_count_is_refused(correct: int, tests: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"not a count|confidence lies"):
        clopper_pearson(correct, tests, confidence)
