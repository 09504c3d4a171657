from __future__ import annotations

from typing import Any

import pytest

from ue_cli.certificates.runs import certify_runs, runs_confidence

FIVE = (120, 90, 110, 100, 95)
GIVEN: dict[str, Any] = {
    "tests": 500,
    "q": 0.5,
    "protected_fit": (0.99,) * 5,
    "protected_best": (150, 90, 130, 120, 95),
    "distribution": "seeds vary",
}


def test_the_worked_numbers_of_trainings() -> None:
    assert runs_confidence(5, 0.5) == 0.96875
    assert runs_confidence(29, 0.9) == pytest.approx(0.9529, abs=1e-4)


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
        runs_confidence(5, 0.0)
