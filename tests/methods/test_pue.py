"""What weight noise adds to the alternation."""

from __future__ import annotations

import numpy as np
import torch

from tests.methods.tiny import BUDGET, em, images, pue
from ue_cli.methods.pue import Pue

NAMES = ("cats", "dogs", "newts")


def test_without_noise_it_is_em() -> None:
    silent = pue(noise_levels=(0.0,)).optimise(*images(), NAMES, BUDGET, seed=0)
    plain = em().optimise(*images(), NAMES, BUDGET, seed=0)
    assert np.array_equal(silent.bank.delta, plain.bank.delta)
    assert all(torch.equal(silent.surrogate[k], plain.surrogate[k]) for k in plain.surrogate)
    noisy = pue().optimise(*images(), NAMES, BUDGET, seed=0)
    assert not np.array_equal(noisy.bank.delta, plain.bank.delta)


def test_the_least_number_of_robust_rounds_is_run_however_easy_it_is() -> None:
    method = pue(stop_error=1.0, min_robust_rounds=2, max_rounds=6)
    recipe = method.optimise(*images(), NAMES, BUDGET, seed=0).bank.provenance.recipe
    assert recipe["robust_rounds"] == sum(r["robust"] for r in recipe["rounds"]) == 2


def test_and_where_the_surrogate_never_fits_half() -> None:
    pictures, labels = images()
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    method = pue(stop_error=-1.0, min_robust_rounds=2, batches=1, step=0.0)
    recipe = method.optimise(pictures, shuffled, NAMES, BUDGET, seed=0).bank.provenance.recipe
    assert [r["robust"] for r in recipe["rounds"]] == [False, True, True]
    assert recipe["final_error"] > 0.5 and recipe["stopped_by"] == "rounds"


def test_it_becomes_robust_only_after_half_is_fitted() -> None:
    made = pue(max_rounds=10, batches=5, stop_error=0.0).optimise(*images(), NAMES, BUDGET, seed=0)
    rounds = made.bank.provenance.recipe["rounds"]
    first = next(i for i, r in enumerate(rounds) if r["robust"])
    assert first > 0 and rounds[first - 1]["error"] < 0.5
    assert all(r["error"] >= 0.5 for r in rounds[: first - 1])
    assert all(r["robust"] for r in rounds[first:])


def test_the_published_setting_is_as_published() -> None:
    published = Pue.paper()
    assert published.noise_levels == (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
    assert published.scaling == "absolute"
    assert (published.draws, published.pattern_draws, published.batches) == (100, 10, 20)
    assert (published.step, published.subset, published.stop_error) == (0.8, 0.2, 0.1)
    surrogate = published.surrogate
    assert (surrogate.net, surrogate.batch, surrogate.lr) == ("resnet18", 128, 0.1)
    assert published.cells == surrogate.size == 32
