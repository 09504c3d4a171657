from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ue_cli.certificates.runs import certify_runs
from ue_cli.certificates.smoothing import certify_grid, certify_simultaneous, lower_quantile
from ue_cli.certificates.verdict import informative_up_to, judge, judge_runs, learning_mark
from ue_cli.types import NoisyCounts, RunsCertificate, Smoothing, SurrogateCertificate

SETTING = Smoothing(draws=200)
ETAS = (0.01, 0.05, 0.16, 0.5)


def surrogate(
    arm: str,
    center: int,
    *,
    spread: int = 0,
    accuracy: int = 450,
    fit: float = 0.99,
    setting: Smoothing = SETTING,
    etas: tuple[float, ...] = ETAS,
) -> SurrogateCertificate:
    """Certify counts that run evenly from ``center`` up to ``spread`` more, of 500."""
    n = setting.draws
    counts = NoisyCounts(tuple(center + spread * i // n for i in range(n)), 500)
    return SurrogateCertificate(
        arm=arm,
        training="plain",
        correct=accuracy,
        fit=fit,
        weight_norm=30.0,
        counts=counts,
        bounds=certify_grid(counts, etas, setting),
        simultaneous=certify_simultaneous(counts, etas, setting),
        population=(),
        lower=lower_quantile(counts, setting),
        sha256="00",
    )


PROTECTED = surrogate("protected", 60, accuracy=70)
CONTROL = surrogate("clean", 300)


def test_a_gap_that_is_wide_enough_is_informative() -> None:
    verdict, reason = judge(PROTECTED, CONTROL, SETTING, classes=10)
    assert verdict == "informative"
    assert "at least 90 % of the noisy copies" in reason
    assert "at most 12.0 %" in reason
    assert "(within η = 0.01)" in reason
    assert "60.0 % or higher" in reason
    assert "99 % confidence each" in reason
    assert "a gap of 48 points, where 5 points are asked for" in reason
    assert "holds up to η = 0.05" in reason


def test_the_reach_comes_from_the_simultaneous_bounds() -> None:
    """At η = 0.16 the published bound exists, the one that holds with the others does not."""
    spread = surrogate("protected", 60, spread=200)
    assert [bound.upper is None for bound in spread.bounds] == [False, False, False, True]
    assert [bound.upper is None for bound in spread.simultaneous] == [False, False, True, True]
    assert informative_up_to(spread, CONTROL) == 0.05
    close = surrogate("clean", round(500 * (spread.simultaneous[0].upper or 0)) + 25)
    assert informative_up_to(spread, close) == 0.01
    assert informative_up_to(spread, surrogate("clean", 260)) is None
    assert informative_up_to(spread, replace(CONTROL, lower=None)) is None


@pytest.mark.parametrize(("control", "verdict"), [(85, "informative"), (84, "uninformative")])
def test_five_points_are_enough_and_less_are_not(control: int, verdict: str) -> None:
    other = surrogate("clean", control, accuracy=100)
    assert judge(PROTECTED, other, SETTING, classes=10)[0] == verdict


def test_noise_that_ruins_the_control_too_is_uninformative() -> None:
    """The case that the rule is for: both collapse to chance, and the bound is low."""
    verdict, reason = judge(PROTECTED, surrogate("clean", 58), SETTING, classes=10)
    assert verdict == "uninformative"
    assert "a gap of -0.4 points" in reason
    assert "ruins the control too: without it, it gets 90.0 %" in reason
    verdict, reason = judge(surrogate("protected", 290), CONTROL, SETTING, classes=10)
    assert verdict == "uninformative"
    assert "nearly as good as others" in reason


@pytest.mark.parametrize(("fit", "verdict"), [(0.97, "informative"), (0.969, "uninformative")])
def test_a_surrogate_that_fits_worse_than_the_control_says_nothing(
    fit: float, verdict: str
) -> None:
    found, reason = judge(replace(PROTECTED, fit=fit), CONTROL, SETTING, classes=10)
    assert found == verdict
    assert ("fits 96.9 % of them, the control 99.0 %" in reason) == (verdict == "uninformative")


def test_a_surrogate_that_learned_nothing_says_nothing_even_without_a_control() -> None:
    idle = replace(PROTECTED, fit=0.113)
    for control in (None, CONTROL, replace(CONTROL, fit=0.1)):
        verdict, reason = judge(idle, control, SETTING, classes=10)
        assert verdict == "uninformative"
        assert "learned nothing: it gets 11.3 % of its own training files" in reason
        assert "10 classes gets 10.0 %" in reason


def test_without_a_control_there_is_no_verdict() -> None:
    verdict, reason = judge(PROTECTED, None, SETTING, classes=10)
    assert verdict == "no-control"
    assert "at most 12.0 %" in reason
    assert "Give the originals" in reason


def test_draws_that_reach_no_radius_abstain() -> None:
    far = surrogate("protected", 60, etas=(0.3, 0.5))
    verdict, reason = judge(far, CONTROL, SETTING, classes=10)
    assert verdict == "abstain"
    assert "200 draws can certify only η up to 0.18" in reason
    assert "Take 702 draws for η = 0.3" in reason
    few = replace(SETTING, draws=20)
    verdict, reason = judge(surrogate("protected", 60, setting=few), None, few, classes=10)
    assert verdict == "abstain"
    assert "20 draws can certify no η at all." in reason
    assert "Take 48 draws for η = 0.01" in reason
    out_of_reach = surrogate("protected", 60, etas=(5.0,))
    assert "Ask for a smaller η" in judge(out_of_reach, CONTROL, SETTING, classes=10)[1]
    low = Smoothing(draws=12, q=0.3)
    verdict, reason = judge(
        surrogate("protected", 60, setting=low),
        surrogate("clean", 300, setting=low),
        low,
        classes=10,
    )
    assert verdict == "abstain"
    assert "control from below" in reason


def test_what_counts_as_learned() -> None:
    assert [learning_mark(classes) for classes in (2, 3, 10, 100)] == pytest.approx(
        [0.75, 2 / 3, 0.2, 0.02]
    )
    with pytest.raises(ValueError, match="two classes"):
        learning_mark(1)


def trainings(protected: int, control: int | None, **changes: Any) -> RunsCertificate:
    """Five trainings each, of 500 test images; the counts given are the extremes."""
    fields: dict[str, Any] = {
        "protected": (protected, protected - 20, protected - 5, protected - 1, protected - 3),
        "control": () if control is None else (control + 9, control, control + 2) + (control,) * 2,
        "protected_fit": (0.99,) * 5,
        "control_fit": () if control is None else (1.0,) * 5,
        "protected_best": (protected,) * 5,
        "tests": 500,
        "q": 0.5,
        "distribution": "seeds vary",
    }
    return certify_runs(**(fields | changes))


def test_trainings_far_apart_are_informative() -> None:
    verdict, reason = judge_runs(trainings(100, 350), classes=10)
    assert verdict == "informative"
    assert "Of 5 trainings on each, the best on the protected files gets 20.0 %" in reason
    assert "the worst on the originals 70.0 %" in reason
    assert "a gap of 50 points" in reason
    assert "50 % of such trainings with 96.87 % confidence" in reason
    assert "best epoch" not in reason
    stopped = trainings(100, 350, protected_best=(100, 100, 223, 100, 100))
    assert "at its best epoch, one of them had 44.6 %" in judge_runs(stopped, classes=10)[1]


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (trainings(325, 350), "informative", "a gap of 5 points"),
        (trainings(326, 350), "uninformative", "a gap of 4.8 points"),
        (trainings(100, None), "no-control", "Give the originals"),
        (trainings(50, 99), "uninformative", "learns only 19.8 %, where 20.0 % are asked for"),
        (trainings(50, 100), "informative", "a gap of 10 points"),
        (trainings(50, 350, protected_fit=(0.12,) * 5), "uninformative", "learned nothing"),
        (
            trainings(100, 350, protected_fit=(1.0, 1.0, 1.0, 1.0, 0.5)),
            "uninformative",
            "fits 90.0 % of them, the control 100.0 %",
        ),
    ],
)
def test_the_rules_for_trainings(found: RunsCertificate, verdict: str, words: str) -> None:
    decided, reason = judge_runs(found, classes=10)
    assert decided == verdict
    assert words in reason
