from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.certificates.runs import (
    certify_runs,
    runs_confidence,
    runs_lower,
    runs_needed,
    runs_upper,
)

FIVE = (120, 90, 110, 100, 95)
GIVEN: dict[str, Any] = {
    "tests": 500,
    "q": 0.5,
    "protected_fit": (0.99,) * 5,
    "protected_best": (150, 90, 130, 120, 95),
    "distribution": "seeds vary",
}


def test_the_worked_numbers_of_trainings() -> None:
    assert runs_needed(0.5, 0.95) == 5
    assert runs_needed(0.9, 0.95) == 29
    assert runs_confidence(5, 0.5) == 0.96875
    assert runs_confidence(29, 0.9) == pytest.approx(0.9529, abs=1e-4)


@settings(deadline=None)
@given(q=st.floats(0.01, 0.99), confidence=st.floats(0.01, 0.999))
def test_one_training_less_is_not_enough(q: float, confidence: float) -> None:
    needed = runs_needed(q, confidence)
    assert runs_confidence(needed, q) >= confidence - 1e-7
    if needed > 1:
        assert runs_confidence(needed - 1, q) < confidence
    assert runs_upper(range(needed), needed, q, confidence) is not None


def test_the_largest_bounds_with_its_own_confidence_and_with_no_more() -> None:
    assert runs_upper(FIVE, 500, 0.5, runs_confidence(5, 0.5)) == 120 / 500
    assert runs_lower(FIVE, 500, 0.5, runs_confidence(5, 0.5)) == 90 / 500
    assert runs_upper(FIVE, 500, 0.5, 0.97) is None
    assert runs_lower(FIVE, 500, 0.5, 0.97) is None
    # One or none of five above the median: 1/32 + 5/32, so the second largest holds with 26/32.
    assert runs_upper(FIVE, 500, 0.5, 26 / 32) == 110 / 500
    assert runs_lower(FIVE, 500, 0.5, 26 / 32) == 95 / 500


@settings(deadline=None)
@given(
    correct=st.lists(st.integers(0, 60), min_size=1, max_size=60),
    q=st.floats(0.05, 0.95),
    confidence=st.floats(0.5, 0.999),
)
def test_lower_is_upper_in_a_mirror(correct: list[int], q: float, confidence: float) -> None:
    upper = runs_upper([60 - count for count in correct], 60, q, confidence)
    lower = runs_lower(correct, 60, q, confidence)
    assert (upper is None) == (lower is None)
    if upper is not None:
        assert lower == pytest.approx(1 - upper)


def test_the_certificate_takes_the_extremes() -> None:
    found = certify_runs(FIVE, (400, 380, 390, 370, 410), control_fit=(1.0,) * 5, **GIVEN)
    assert (found.runs, found.confidence) == (5, 0.96875)
    assert (found.upper, found.control_lower) == (120 / 500, 370 / 500)
    assert found.protected == FIVE
    assert certify_runs(FIVE, **GIVEN).control_lower is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protected_fit": (0.9,) * 4}, "5 trainings came with 4 fits"),
        ({"protected_best": (1,) * 6}, "5 trainings came with 6 best epochs"),
        ({"control": (400,) * 4, "control_fit": (1.0,) * 4}, "5 trainings came with 4 controls"),
        ({"control_fit": (1.0,) * 5}, "5 trainings came with 0 controls"),
        ({"tests": 100}, "from 0 to 100"),
        ({"q": 1.0}, "lies between 0 and 1"),
    ],
)
def test_trainings_that_do_not_belong_together_are_refused(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        certify_runs(FIVE, **(GIVEN | change))


def test_no_training_and_no_share_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one training"):
        runs_confidence(0, 0.5)
    with pytest.raises(ValueError, match="lies between"):
        runs_needed(0.0, 0.95)
    with pytest.raises(ValueError, match="No number of trainings"):
        runs_needed(1 - 1e-16, 0.95)
    with pytest.raises(ValueError, match="from 0 to 10"):
        runs_upper((), 10, 0.5, 0.9)
