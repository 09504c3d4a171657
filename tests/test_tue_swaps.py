"""Who carries whose δ, as the swap test of table 5 has it."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from reproduction.tue.swaps import Correspondence, correspondence

LABELS = torch.tensor([2, 0, 5, 0, 2, 5, 0, 2, 5])


def test_original_is_everyones_own() -> None:
    assert correspondence(LABELS, "original", seed=0).tolist() == list(range(9))


def test_within_a_class_all_trade_and_nobody_keeps_their_own() -> None:
    source = correspondence(LABELS, "intra-class", seed=0)
    assert source.sort().values.tolist() == list(range(9))
    assert torch.equal(LABELS[source], LABELS)
    assert not (source == torch.arange(9)).any()


def test_between_classes_each_takes_all_of_the_next_ones() -> None:
    source = correspondence(LABELS, "inter-class", seed=0)
    assert source.sort().values.tolist() == list(range(9))
    assert LABELS[source].tolist() == [{0: 2, 2: 5, 5: 0}[k] for k in LABELS.tolist()]


def test_a_smaller_class_lends_its_own_more_than_once_and_a_larger_one_not_all() -> None:
    labels = torch.tensor([0] * 5 + [1] * 2)
    source = correspondence(labels, "inter-class", seed=1)
    assert sorted(source[:5].bincount(minlength=7)[5:].tolist()) == [2, 3]
    assert len(set(source[5:].tolist())) == 2 and set(source[5:].tolist()) < set(range(5))


def test_a_class_of_one_keeps_its_own_within_classes() -> None:
    assert correspondence(torch.tensor([0, 1, 1]), "intra-class", seed=3).tolist() == [0, 2, 1]


@pytest.mark.parametrize("kind", get_args(Correspondence)[1:])
def test_the_seed_decides_and_nothing_global_does(kind: Correspondence) -> None:
    labels, before = torch.arange(60) % 3, torch.random.get_rng_state()
    first, again, other = (correspondence(labels, kind, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
