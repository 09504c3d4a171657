"""Any bank serves any classes: what is passed on, what is mixed, and that it stays in the ball."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.banks.transfer import (
    has_name,
    map_classes,
    mixed_classes,
    transfer_bank,
    with_budget,
)
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget, Provenance


def bank(*classes: str, per_class: int = 1, levels: int = 8, seed: int = 0) -> Bank:
    shape = (len(classes), per_class, 3, 2, 3)
    delta = np.random.default_rng(seed).integers(-levels, levels + 1, shape).astype(np.int8)
    return Bank(delta, classes, Budget(levels), Provenance("csd", "pixel", {"steps": 3}, "test"))


NAMES = st.lists(st.text("abAé", min_size=1, max_size=3), min_size=1, max_size=7, unique=True)


@settings(deadline=None, max_examples=40)
@given(
    entries=NAMES.filter(lambda names: len(names) > 1),
    classes=NAMES,
    own=st.integers(1, 3),
    wanted=st.none() | st.integers(1, 6),
    levels=st.integers(1, 64),
    seed=st.integers(0, 5),
)
def test_every_transfer_stays_in_the_ball_and_is_the_same_again(
    entries: list[str],
    classes: list[str],
    own: int,
    wanted: int | None,
    levels: int,
    seed: int,
) -> None:
    source = bank(*entries, per_class=own, levels=levels, seed=seed)
    found = transfer_bank(source, classes, per_class=wanted, seed=seed)
    assert found.classes == tuple(classes) and found.budget == source.budget
    assert found.delta.shape == (len(classes), wanted or own, *source.delta.shape[2:])
    assert np.abs(found.delta).max() <= levels
    again = transfer_bank(source, classes, per_class=wanted, seed=seed)
    assert np.array_equal(found.delta, again.delta) and found.provenance == again.provenance
    kept = min(own, wanted or own)
    used = []
    for name, shares in found.provenance.recipe["transfer"].items():
        parts = [source.delta[entries.index(entry), :kept] for entry in shares]
        low, high = np.min(parts, axis=0), np.max(parts, axis=0)
        mine = found.delta[classes.index(name), :kept]
        assert ((low <= mine) & (mine <= high)).all() and sum(shares.values()) == 1
        used += [tuple(shares)] if len(shares) == 1 else []
    assert len(used) == len(set(used)) == min(len(entries), len(classes))


def test_names_come_before_case_and_case_before_places() -> None:
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    found = map_classes(("x", "Cat", composed, "dog", "y"), ("zebra", "cat", "dog", apart, "ant"))
    assert found == {
        "zebra": {"y": 1},
        "cat": {"Cat": 1},
        "dog": {"dog": 1},
        apart: {composed: 1},
        "ant": {"x": 1},
    }
    assert map_classes(("CAT", "cat"), ("Cat", "cat")) == {"Cat": {"CAT": 1}, "cat": {"cat": 1}}


def test_what_matches_is_passed_on_value_by_value() -> None:
    source = bank("cat", "dog", "newt", per_class=2)
    found = transfer_bank(source, ("newt", "cat"))
    assert np.array_equal(found.delta, source.delta[[2, 0]])
    more = transfer_bank(source, ("newt", "cat"), per_class=5)
    assert np.array_equal(more.delta[:, :2], found.delta)
    assert len({more.delta[0, k].tobytes() for k in range(5)}) == 5
    assert np.array_equal(
        transfer_bank(source, ("dog",), per_class=1).delta[0], source.delta[1, :1]
    )


def test_missing_classes_are_told_apart_as_far_as_the_entries_allow() -> None:
    source = bank(*"abcde", levels=64)
    classes = [f"class {k:03}" for k in range(5 + 10 + 20)]
    made_of = map_classes(source.classes, classes, seed=3)
    mixed = [shares for shares in made_of.values() if len(shares) == 2]
    assert len(mixed) == 30
    # Ten pairs in halves, and only then ten in quarters, and ten in the other quarters.
    assert {frozenset(s) for s in mixed[:10]} == {frozenset(s) for s in mixed[20:]}
    assert len({frozenset(s) for s in mixed[:10]}) == 10
    assert [sorted(s.values())[0] for s in mixed] == [0.5] * 10 + [0.25] * 20
    found = transfer_bank(source, classes, seed=3)
    assert len({row.tobytes() for row in found.delta}) == len(classes)
    assert mixed_classes(found) == tuple(classes[5:])
    half = mixed[0]
    a, b = (source.delta[source.classes.index(entry)].astype(float) for entry in half)
    assert np.abs(found.delta[5] - (a + b) / 2).max() <= 0.5


@settings(deadline=None, max_examples=30)
@given(data=st.data(), before=NAMES, later=NAMES, own=st.integers(1, 2))
def test_classes_and_samples_that_join_leave_the_others_alone(
    data: st.DataObject, before: list[str], later: list[str], own: int
) -> None:
    source = bank("a", "b", "A", per_class=own)
    first = transfer_bank(source, before, per_class=data.draw(st.integers(1, 3)))
    grown = transfer_bank(source, later, per_class=data.draw(st.integers(1, 5)), frozen=first)
    assert grown.classes[: len(before)] == tuple(before)
    assert set(grown.classes) == {*before, *later}
    assert np.array_equal(grown.delta[: len(before), : first.delta.shape[1]], first.delta)
    made_of = grown.provenance.recipe["transfer"]
    assert list(made_of.items())[: len(before)] == list(first.provenance.recipe["transfer"].items())
    alone = [tuple(shares) for shares in made_of.values() if len(shares) == 1]
    assert len(alone) == len(set(alone))


def test_a_transferred_bank_says_on_disk_what_it_was_made_of(tmp_path: Path) -> None:
    found = transfer_bank(bank("a", "b"), ("d", "a", "c"), seed=4)
    save_bank(found, tmp_path / "bank.safetensors")
    again = load_bank(tmp_path / "bank.safetensors")
    assert again.provenance.recipe["transfer"]["c"] == {"b": 1}
    assert again.provenance.recipe["source"] == {"steps": 3}
    grown = transfer_bank(bank("a", "b"), ("e",), seed=4, frozen=again)
    assert grown.classes == ("d", "a", "c", "e") and np.array_equal(grown.delta[:3], found.delta)


def test_one_entry_cannot_be_mixed() -> None:
    source = bank("a")
    assert transfer_bank(source, ("other",), per_class=3).delta.shape[:2] == (1, 3)
    with pytest.raises(UeError, match="at least two entries to mix; this one has 1") as caught:
        transfer_bank(source, ("a", "b"))
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE and caught.value.hint


def test_mistakes_of_a_caller_are_errors() -> None:
    with pytest.raises(ValueError, match="distinct classes"):
        transfer_bank(bank("a", "b"), ())
    with pytest.raises(ValueError, match="distinct classes"):
        transfer_bank(bank("a", "b"), ("x", "x"))
    with pytest.raises(ValueError, match="no transfer"):
        transfer_bank(bank("a", "b"), ("x",), frozen=bank("a", "b"))


def test_another_budget_moves_no_level_unless_asked() -> None:
    source = bank("a", "b", levels=4)
    wider = with_budget(source, Budget(8))
    assert np.array_equal(wider.delta, source.delta) and wider.budget == Budget(8)
    with pytest.raises(UeError, match="reach 4 levels of 255; the budget is 2") as caught:
        with_budget(source, Budget(2))
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE
    assert "--rescale" in caught.value.hint
    halved = with_budget(source, Budget(2), rescale=True)
    assert np.abs(halved.delta - source.delta / 2).max() <= 0.5 and np.abs(halved.delta).max() == 2
    assert np.array_equal(
        with_budget(source, Budget(64), rescale=True).delta, source.delta * np.int8(16)
    )


def test_transfer_needs_no_torch() -> None:
    code = "import sys, ue_cli.banks.transfer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_names_are_the_same_in_any_case_and_composition() -> None:
    assert has_name(("cat", "caf\u00e9"), "CAT") and has_name(("caf\u00e9",), "cafe\u0301")
    assert not has_name(("cat",), "cats")
