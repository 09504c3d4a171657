"""The alternation, without noise and in general: what it promises whatever its recipe is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.methods.tiny import BUDGET, METHODS, NET, em, images
from ue_cli.errors import UeError
from ue_cli.methods.alternation import Alternation
from ue_cli.methods.entries import Entries
from ue_cli.training.augment import whole
from ue_cli.training.supervised import build_net
from ue_cli.types import Bank, Budget

NAMES = ("cats", "dogs", "newts")


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_a_bank_is_whole_levels_in_budget_and_says_how_it_was_made(method: Alternation) -> None:
    seen: list[tuple[int, int]] = []
    made = method.optimise(
        *images(), NAMES, BUDGET, seed=0, on_step=lambda n, all_, _: seen.append((n, all_))
    )
    bank = made.bank
    assert bank.classes == NAMES and bank.delta.dtype == np.int8
    assert bank.delta.shape == (3, method.per_class, 3, 4, 4)
    assert 4 < np.abs(bank.delta).max() <= 8
    recipe = bank.provenance.recipe
    assert bank.provenance.method == method.name
    assert recipe["stopped_by"] in ("error", "rounds")
    assert seen == [(n + 1, method.max_rounds) for n in range(len(recipe["rounds"]))]
    assert recipe["rounds"][-1]["error"] == recipe["final_error"]
    build_net(NET, 3, seed=0).load_state_dict(made.surrogate)


@pytest.mark.parametrize("name", ["em", "pue, sample-wise"])
def test_the_seed_decides_and_nothing_global_does(name: str) -> None:
    method = METHODS[name]
    before = torch.random.get_rng_state()
    found = [method.optimise(*images(), NAMES, BUDGET, seed=s) for s in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(found[0].bank.delta, found[1].bank.delta)
    assert not np.array_equal(found[0].bank.delta, found[2].bank.delta)


def carrying(pictures: Tensor, labels: Tensor, delta: NDArray[np.int8]) -> Tensor:
    cells = torch.tensor(delta)[:, 0].float()[labels]
    wide = functional.interpolate(cells, size=16, mode="nearest-exact")
    return (pictures + wide).clamp(0, 255).round().to(torch.uint8)


def test_its_surrogate_finds_the_result_easier_than_a_random_start() -> None:
    pictures, labels = images()
    made = em(max_rounds=10, stop_error=0.0, passes=3).optimise(
        pictures, labels, NAMES, BUDGET, seed=0
    )
    start = em(max_rounds=0).optimise(pictures, labels, NAMES, BUDGET, seed=0)
    net = build_net(NET, 3, seed=0)
    net.load_state_dict(made.surrogate)
    net.eval()
    losses = [
        float(functional.cross_entropy(net(whole(x, 16)), labels).detach())
        for x in (carrying(pictures, labels, b.bank.delta) for b in (made, start))
    ]
    assert losses[0] < 0.75 * losses[1]


def test_rounds_are_bounded_and_an_error_below_the_threshold_ends_them() -> None:
    never = em(stop_error=-1.0, max_rounds=3).optimise(*images(), NAMES, BUDGET, seed=0)
    at_once = em(stop_error=1.0, max_rounds=3).optimise(*images(), NAMES, BUDGET, seed=0)
    recipes = [m.bank.provenance.recipe for m in (never, at_once)]
    assert [len(r["rounds"]) for r in recipes] == [3, 1]
    assert [r["stopped_by"] for r in recipes] == ["rounds", "error"]


def entries(labels: Tensor, per_class: int, frozen: Bank | None = None) -> Entries:
    generator = torch.Generator().manual_seed(0)
    return Entries(labels, 3, (per_class, 3, 2, 2), BUDGET, None, frozen, generator, "cpu")


@pytest.mark.parametrize("per_class", [1, 2, 16])
def test_shared_patterns_move_by_the_mean_of_a_loop_over_images(per_class: int) -> None:
    labels = torch.tensor([0, 1, 0, 0, 1, 2, 0])
    one = entries(labels, per_class)
    chosen = torch.tensor([0, 2, 3, 4, 6])
    before = one.of(torch.arange(7))
    updates = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1)) * 6
    one.move(chosen, updates)
    after = one.of(torch.arange(7))
    turn = [int((labels[:i] == labels[i]).sum()) % per_class for i in range(7)]
    for i in range(7):
        sharing = [
            (before[c] + updates[n]).clamp(-8, 8)
            for n, c in enumerate(chosen.tolist())
            if labels[c] == labels[i] and turn[c] == turn[i]
        ]
        expected = torch.stack(sharing).mean(0) if sharing else before[i]
        assert torch.allclose(after[i], expected, atol=1e-5)
    assert float(after.abs().max()) <= 8


def test_patterns_that_no_image_carried_repeat_those_that_some_did() -> None:
    delta = entries(torch.tensor([0, 0, 1, 2, 2, 2]), 3).levels()
    assert np.array_equal(delta[0, 2], delta[0, 0])
    assert np.array_equal(delta[1, 1], delta[1, 0]) and np.array_equal(delta[1, 2], delta[1, 0])
    assert len({x.tobytes() for x in delta[2]}) == 3


def test_sample_wise_every_image_has_its_own_pattern_optimised() -> None:
    pictures, labels = images()
    start, end = (
        em(per_class=12, max_rounds=n).optimise(pictures, labels, NAMES, BUDGET, seed=0).bank.delta
        for n in (0, 2)
    )
    assert all(not np.array_equal(start[k, v], end[k, v]) for k in range(3) for v in range(12))
    assert len({end[k, v].tobytes() for k in range(3) for v in range(12)}) == 36


@pytest.mark.parametrize("per_class", [1, 4])
def test_classes_join_without_moving_the_others(per_class: int) -> None:
    pictures, labels = images(classes=4)
    method = em(per_class=per_class)
    two = labels < 2
    first = method.optimise(pictures[two], labels[two], NAMES[:2], BUDGET, seed=0).bank
    names = ("ants", "cats", "dogs", "newts")
    joined = method.optimise(pictures, labels, names, BUDGET, seed=1, frozen=first).bank
    assert joined.classes == ("cats", "dogs", "ants", "newts")
    assert np.array_equal(joined.delta[:2], first.delta)
    assert np.abs(joined.delta[2:]).max() > 4
    assert joined.provenance.recipe["joined"] == [["ants", "newts"]]


def test_another_shape_or_budget_cannot_join() -> None:
    first = em().optimise(*images(), NAMES, BUDGET, seed=0).bank
    for method, budget in ((em(cells=2), BUDGET), (em(per_class=2), BUDGET), (em(), Budget(4))):
        with pytest.raises(UeError) as caught:
            method.optimise(*images(), NAMES, budget, seed=0, frozen=first)
        assert caught.value.code == "bank-mismatch"


def test_what_no_surrogate_can_be_trained_on_is_refused() -> None:
    pictures, labels = images()
    with pytest.raises(UeError, match="at least two classes, got 36 of 1") as caught:
        em().optimise(pictures, labels * 0, NAMES, BUDGET, seed=0)
    assert caught.value.code == "method-classes" and "--method csd" in caught.value.hint
    with pytest.raises(UeError, match="17 cells"):
        em(cells=17).optimise(pictures, labels, NAMES, BUDGET, seed=0)
