from __future__ import annotations

from dataclasses import replace

import pytest

from ue_cli.certificates.runs import certify_runs
from ue_cli.certificates.smoothing import (
    certify_eta,
    certify_grid,
    certify_population,
    certify_simultaneous,
)
from ue_cli.certificates.statements import (
    NOT_COVERED,
    RUNS_NOT_COVERED,
    per_eta,
    population,
    simultaneous,
    training_runs,
)
from ue_cli.types import NoisyCounts, Smoothing
from ue_cli.types.wording import at_least, at_most, confidence_words

SETTING = Smoothing()
COUNTS = NoisyCounts((107,) * 1000, 500)


def test_no_number_claims_more_than_it_may() -> None:
    assert (at_most(0.21401), at_most(0.214), at_most(0.3), at_most(1.0)) == (
        "21.5 %",
        "21.4 %",
        "30.0 %",
        "100.0 %",
    )
    assert (at_least(0.21499), at_least(0.215), at_least(0.0)) == ("21.4 %", "21.5 %", "0.0 %")
    assert [confidence_words(c) for c in (0.99, 0.96875, 0.95)] == ["99 %", "96.87 %", "95 %"]


def test_one_radius_is_stated_with_all_its_conditions() -> None:
    words = per_eta(certify_eta(COUNTS, 0.1, SETTING), SETTING, 500)
    for part in (
        "With 99 % confidence over the 1,000 random draws",
        "at least 90 % of the models made by adding Gaussian noise",
        "σ = 0.25",
        "at most 21.4 % of these 500 test images",
        "η = 0.1",
        "in units of the weights",
        "do not hold together",
    ):
        assert part in words
    relative = replace(SETTING, scaling="relative")
    assert "each filter's own size" in per_eta(certify_eta(COUNTS, 0.1, relative), relative, 500)


def test_an_abstention_states_no_accuracy() -> None:
    for eta, remedy in ((0.5, "It takes at least 8,920."), (2.0, "No number of draws")):
        words = per_eta(certify_eta(COUNTS, eta, SETTING), SETTING, 500)
        assert words.startswith(f"No statement for η = {eta:g}: 1,000 draws are too few.")
        assert remedy in words
        (unseen,) = certify_population(COUNTS, (eta,), SETTING)
        assert population(unseen, SETTING, 500) == words
    (unseen,) = certify_population(COUNTS, (0.3,), SETTING)
    assert population(unseen, SETTING, 500) == (
        "No statement for η = 0.3: 1,000 draws are too few."
    )
    nothing = certify_simultaneous(COUNTS, (0.5, 2.0), SETTING)
    assert simultaneous(nothing, SETTING, 500) == (
        "No statement for η = 0.5, 2: 1,000 draws are too few."
    )


def test_the_grid_is_stated_as_one() -> None:
    bounds = certify_simultaneous(COUNTS, (0.05, 0.1, 0.5), SETTING)
    words = simultaneous(bounds, SETTING, 500)
    assert "all of these hold together" in words
    assert "21.4 % for η = 0.05, 21.4 % for η = 0.1." in words
    assert words.endswith(
        "No statement for η = 0.5: 1,000 draws are too few. It takes at least 8,920."
    )
    assert "No statement" not in simultaneous(bounds[:2], SETTING, 500)


def test_the_population_is_stated_with_its_condition() -> None:
    (bound,) = certify_population(COUNTS, (0.1,), SETTING)
    (plain,) = certify_grid(COUNTS, (0.1,), SETTING)
    assert bound.upper is not None
    assert plain.upper is not None
    assert bound.upper > plain.upper
    words = population(bound, SETTING, 500)
    assert f"at most {at_most(bound.upper)} of all images of this kind" in words
    assert "the choice of the test images" in words
    assert "independent sample" in words


def test_trainings_are_stated_with_their_distribution() -> None:
    found = certify_runs(
        (120, 90, 110, 100, 95),
        (400, 380, 390, 370, 410),
        tests=500,
        q=0.5,
        protected_fit=(1.0,) * 5,
        control_fit=(1.0,) * 5,
        protected_best=(120,) * 5,
        distribution="seed and order vary, the small ResNet does not.",
    )
    words = training_runs(found)
    assert words.startswith(
        "With 96.87 % confidence over 5 independent trainings, at least 50 % of all such trainings "
        "on the protected files reach at most 24.0 % on these 500 clean test images."
    )
    assert "originals reach at least 74.0 %" in words
    assert words.endswith("Such a training: seed and order vary, the small ResNet does not.")
    alone = training_runs(replace(found, control=(), control_lower=None))
    assert "originals" not in alone


@pytest.mark.parametrize(
    "topic",
    [
        "without noise",
        "trained anew",
        "BatchNorm",
        "architectures",
        "Countermeasures",
        "Dilution",
        "Other test images",
        "rescaled",
    ],
)
def test_what_is_not_covered_is_named(topic: str) -> None:
    assert any(topic in line for line in NOT_COVERED)
    assert any("stated distribution" in line for line in RUNS_NOT_COVERED)
