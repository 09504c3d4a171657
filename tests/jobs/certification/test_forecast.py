"""Which trainings a certificate plans, before any is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.conftest import Ue
from ue_cli.certification.forecast import drawn_victims, planned
from ue_cli.certification.options import CertifyOptions
from ue_cli.certification.statement import describe_recipe, describe_runs
from ue_cli.training.architectures import VictimName
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import victim_recipe

SEVERAL: tuple[VictimName, ...] = ("small", "resnet18", "vit-tiny")


def options(**changes: object) -> CertifyOptions:
    folder = Path("photos")
    return CertifyOptions(folder, original=folder, test=None, home=folder, **changes)  # type: ignore[arg-type]


def test_one_architecture_makes_the_first_run_the_surrogate() -> None:
    plan = planned(options(runs=5, seed=7), 800, with_control=True)
    for arm in ("protected", "clean"):
        assert [trial.seed for trial in plan.runs[arm]] == [7, 8, 9, 10, 11]
        assert plan.plain[arm] == plan.runs[arm][0]
        recipes = [trials[arm].recipe for trials in (plan.robust, plan.plain)]
        noises = [recipe.noise for recipe in recipes if isinstance(recipe, VictimRecipe)]
        assert len(noises) == 2 and noises[0] > 0 == noises[1]
    assert len(plan.trials) == 12
    alone = planned(options(runs=5), 800, with_control=False)
    assert list(alone.runs) == ["protected"] and len(alone.trials) == 6


def test_several_architectures_are_drawn_alike_on_either_side() -> None:
    plan = planned(options(runs=9, victims=SEVERAL), 800, with_control=True)
    nets = {arm: [trial.recipe.net for trial in trials] for arm, trials in plan.runs.items()}
    assert nets["protected"] == nets["clean"] == drawn_victims(SEVERAL, 9, 0)
    assert set(nets["clean"]) == set(SEVERAL)
    assert {trial.recipe.net for trial in (*plan.plain.values(), *plan.robust.values())} == {
        "small"
    }
    assert len(set(plan.trials)) == len(plan.trials)
    said = describe_runs(plan.runs["clean"], SEVERAL)
    for words in ("an independent draw", "ResNet-18", "ViT-Tiny", "seeds 0 to 8"):
        assert words in said
    assert "independent draw" not in describe_runs(plan.runs["clean"][:1], ("small",))


def test_architectures_are_drawn_independently_and_evenly() -> None:
    draws = [drawn_victims(SEVERAL, 2, seed) for seed in range(900)]
    assert drawn_victims(SEVERAL, 2, 5) == draws[5]
    pairs = {pair: draws.count(list(pair)) for pair in {tuple(two) for two in draws}}
    assert len(pairs) == 9
    assert all(60 < count < 145 for count in pairs.values())  # 100 each, within 4.5 σ


def test_the_paper_preset_trains_the_papers_network() -> None:
    recipe = planned(options(preset="paper"), 5000, with_control=True).plain["protected"].recipe
    assert (recipe.net, recipe.batch) == ("resnet18", 128)
    assert options(preset="paper", victims=("small",)).architectures == ("small",)


def test_an_unknown_architecture_is_refused_with_the_known_ones(ue: Ue, tmp_path: Path) -> None:
    done = ue("certify", tmp_path, "--victim", "resnet81")
    assert done.code == 2
    error = done.envelope["error"]
    assert error["code"] == "victim-unknown"
    assert "Did you mean resnet18" in error["hint"] and "densenet121" in error["hint"]
    # It does not begin anew in every training: such trainings are not independent.
    assert "probe" not in error["hint"]
    error = ue("certify", tmp_path, "--victim", "simclr").envelope["error"]
    assert error["code"] == "victim-unknown" and "`ue evaluate --victim simclr`" in error["hint"]


@pytest.mark.parametrize("given", [(), SEVERAL])
def test_the_command_names_what_was_asked_for(given: tuple[VictimName, ...]) -> None:
    assert options(victims=given).command().count("--victim") == len(given)


def test_a_recipe_in_words_says_how_it_augments() -> None:
    cropped = describe_recipe(victim_recipe("small", train_files=5000, side=64))
    assert "resized to 64 pixels, under random resized crops (at least 0.35 of the area)" in cropped
    assert cropped.endswith("to 48 pixels and flips")
    shifted = describe_recipe(victim_recipe("resnet18", train_files=5000, side=32), 32)
    assert shifted.startswith("ResNet-18 trained from scratch for 52 epochs")
    assert shifted.endswith("resized to 32 pixels, under shifts by up to 4 of 32 pixels and flips")
