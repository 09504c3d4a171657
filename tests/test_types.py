"""The budget: how it is read, and that nothing gets past it."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget, PixelArray, Provenance

DTYPES = (np.uint8, np.uint16)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("8", 8),
        ("8/255", 8),
        (" 8 ", 8),
        ("8.9", 8),
        ("1", 1),
        ("0.03", 7),  # 7.65 levels: the promise of 0.03 holds at 7, not at 8
        ("0.031", 7),
        ("0.0314", 8),
        ("0.03137", 7),  # a hair under 8/255 = 0.031372…
        ("1/255", 1),
        ("64", 64),
        ("2/64", 7),
    ],
)
def test_epsilon_is_read_and_rounded_down(text: str, levels: int) -> None:
    assert Budget.parse(text).levels == levels


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("eight", "epsilon-format"),
        ("", "epsilon-format"),
        ("8/0", "epsilon-format"),
        ("nan", "epsilon-format"),
        ("inf", "epsilon-format"),
        ("0.003", "epsilon-range"),
        ("0", "epsilon-range"),
        ("-8", "epsilon-range"),
        ("65", "epsilon-range"),
        ("1e99", "epsilon-range"),
    ],
)
def test_epsilon_that_makes_no_budget_is_refused_with_a_way_out(text: str, code: str) -> None:
    with pytest.raises(UeError) as caught:
        Budget.parse(text)
    assert caught.value.code == code
    assert caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


@given(levels=st.integers(1, 64))
def test_epsilon_never_promises_more_than_was_asked(levels: int) -> None:
    budget = Budget(levels)
    assert Budget.parse(str(levels)) == budget
    assert Budget.parse(f"{levels}/255") == budget
    assert Budget.parse(f"{levels}.999").levels == levels


@st.composite
def clean_and_image(draw: st.DrawFn) -> tuple[PixelArray, NDArray[Any]]:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    clean: PixelArray = draw(hnp.arrays(dtype, shape))
    kind = draw(st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]))
    wide: dict[str, Any] = {}
    if np.dtype(kind).kind == "f":
        wide = {"elements": st.floats(-1e6, 1e6, width=32)}
    return clean, draw(hnp.arrays(kind, shape, **wide))


@settings(deadline=None, max_examples=200)
@given(pair=clean_and_image(), levels=st.integers(1, 64))
def test_clip_holds_the_ball_the_range_and_its_own_output(
    pair: tuple[PixelArray, NDArray[Any]], levels: int
) -> None:
    clean, image = pair
    budget = Budget(levels)
    out = budget.clip(image, clean)

    assert out.dtype == clean.dtype
    distance = np.abs(out.astype(np.int64) - clean.astype(np.int64))
    assert distance.max() <= budget.radius(clean.dtype)
    assert np.array_equal(budget.clip(out, clean), out)

    radius = budget.radius(clean.dtype)
    low = np.maximum(clean.astype(np.int64) - radius, 0)
    high = np.minimum(clean.astype(np.int64) + radius, np.iinfo(clean.dtype).max)
    assert np.array_equal(out, np.clip(np.rint(image.astype(np.float64)), low, high))


def test_clip_takes_infinity_as_very_far() -> None:
    clean = np.array([[[10], [250]]], np.uint8)
    out = Budget(8).clip(np.array([[[-np.inf], [np.inf]]], np.float32), clean)
    assert out.tolist() == [[[2], [255]]]


PROVENANCE = Provenance("csd", "pixel", {}, "ue test")


def test_bank_hands_out_read_only_entries_and_counts_around() -> None:
    delta = np.arange(-6, 6, dtype=np.int8).reshape(2, 2, 3, 1, 1)
    bank = Bank(delta, ("a", "b"), Budget(8), PROVENANCE)
    assert np.array_equal(bank.entry("b", 3), bank.entry("b", 1))
    assert bank.entry("b", 1).ravel().tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="read-only"):
        bank.entry("a")[0, 0, 0] = 1
    with pytest.raises(UeError, match="no entry for class 'c'"):
        bank.entry("c")


@pytest.mark.parametrize(
    ("delta", "classes", "words"),
    [
        (np.zeros((1, 1, 3, 2, 2), np.float32), ("a",), "int8"),
        (np.zeros((1, 3, 2, 2), np.int8), ("a",), "shape"),
        (np.zeros((1, 1, 4, 2, 2), np.int8), ("a",), "shape"),
        (np.zeros((0, 1, 3, 2, 2), np.int8), (), "shape"),
        (np.zeros((2, 1, 3, 2, 2), np.int8), ("a",), "class names"),
        (np.zeros((2, 1, 3, 2, 2), np.int8), ("a", "a"), "class names"),
        (np.full((1, 1, 3, 2, 2), 9, np.int8), ("a",), "outside its stated budget"),
        (np.full((1, 1, 3, 2, 2), -128, np.int8), ("a",), "outside its stated budget"),
    ],
)
def test_bank_whose_parts_do_not_fit_is_refused(
    delta: NDArray[Any], classes: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UeError, match=words) as caught:
        Bank(delta, classes, Budget(8), PROVENANCE)
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE
