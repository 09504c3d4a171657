from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records import RECORD
from ue_cli.certificates.budget import FAINT, HISTOGRAM_BINS, certify, is_faint, measure
from ue_cli.errors import UeError
from ue_cli.types import Budget, PixelArray


@settings(deadline=None, max_examples=60)
@given(
    shape=st.sampled_from([(1, 1), (3, 5), (7, 3, 3), (1, 40_000, 3), (40_000, 1), (300, 200, 4)]),
    sixteen=st.booleans(),
    limit=st.integers(0, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_measure_agrees_with_plain_arithmetic(
    shape: tuple[int, ...], sixteen: bool, limit: int, seed: int
) -> None:
    dtype = np.uint16 if sixteen else np.uint8
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, np.iinfo(dtype).max, (2, *shape), endpoint=True).astype(dtype)
    gap = np.abs(a.astype(np.int64) - b.astype(np.int64))
    step = 257 if sixteen else 1
    found = measure(a, b, limit)
    assert found.linf == gap.max()
    assert found.over == np.count_nonzero(gap > limit)
    assert found.mean_abs == pytest.approx(gap.mean() / step, rel=1e-5)
    assert found.mse == pytest.approx((gap.astype(float) ** 2).mean() / step**2, rel=1e-5)


def test_the_extremes_of_each_depth_do_not_wrap() -> None:
    for dtype in (np.uint8, np.uint16):
        low = np.zeros((2, 2), dtype)
        high = np.full((2, 2), np.iinfo(dtype).max, dtype)
        for a, b in ((low, high), (high, low)):
            found = measure(a, b)
            assert found.linf == np.iinfo(dtype).max
            assert found.mean_abs == pytest.approx(255)
            assert found.over == 0


def test_a_small_perturbation_is_measured_exactly_in_any_memory_order() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(8, 248, (257, 401, 3), dtype=np.uint8)
    b = np.asarray(a + rng.integers(-8, 9, a.shape), dtype=np.uint8)
    gap = np.abs(a.astype(int) - b)
    straight, turned = measure(a, b), measure(a.transpose(1, 0, 2), b.transpose(1, 0, 2))
    assert straight == turned
    assert straight.mean_abs == gap.sum() / gap.size
    assert straight.mse == (gap**2).sum() / gap.size


def test_an_empty_image_differs_by_nothing() -> None:
    empty = np.zeros((0, 4, 3), np.uint8)
    assert measure(empty, empty).linf == 0


@pytest.mark.parametrize(
    "other",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint16), np.zeros((4, 5, 3), np.uint8)],
)
def test_images_that_do_not_match_are_refused(other: PixelArray) -> None:
    with pytest.raises(UeError, match="same size, channels and depth") as caught:
        measure(np.zeros((4, 4, 3), np.uint8), other)
    assert caught.value.code == "pixels-mismatch"
    assert "4×4×3, 8-bit" in caught.value.message


def test_floats_are_refused() -> None:
    image = np.zeros((4, 4, 3))
    with pytest.raises(UeError, match="float64"):
        measure(image, image)  # type: ignore[arg-type]


def test_the_certificate_sums_up_files_of_both_depths() -> None:
    records = [
        replace(RECORD, mean_abs=5.0),
        replace(RECORD, name="b.tif", linf=1799, linf_limit=2056, mean_abs=1.0, jod=9.6),
        replace(RECORD, name="c.jpg", linf=40, linf_encoding=7, mean_abs=6.0, jod=9.5),
    ]
    found = certify(iter(records), Budget(8))
    assert found.passed
    assert (found.files, found.limit, found.linf) == (3, 8, 8.0)
    assert (found.reencoded, found.linf_reencoded) == (1, 40.0)
    assert (found.mean_abs, found.median_abs, found.lowest_abs) == (4.0, 5.0, 1.0)
    assert (found.jod_median, found.jod_least, found.jod_least_file) == (9.6, 9.5, "c.jpg")
    assert (found.faint_count, found.faint) == (0, ())
    assert len(found.histogram) == HISTOGRAM_BINS
    assert [i for i, n in enumerate(found.histogram) if n] == [4, 20, 24]


def test_one_step_too_far_fails_the_certificate() -> None:
    found = certify([RECORD, replace(RECORD, name="b", linf=9)], Budget(8))
    assert not found.passed
    assert (found.linf, found.over_count, found.over) == (9.0, 1, ("b",))
    sixteen = certify([replace(RECORD, linf=2057, linf_limit=2056)], Budget(8))
    assert not sixteen.passed


def test_files_below_the_strength_that_counts_are_named_weakest_first() -> None:
    """Whatever their mean |δ| is: a fine pattern of little amplitude counts, noise does not."""
    records = [
        replace(RECORD, name=name, strength=levels / 8, mean_abs=0.1)
        for name, levels in (("a", FAINT), ("b", 0.9 * FAINT), ("c", -0.8), ("d", 8.0))
    ]
    found = certify(records, Budget(8))
    assert (found.faint_count, found.faint) == (2, ("c", "b"))
    assert [is_faint(one, Budget(8)) for one in records] == [False, True, True, False]
    # It is levels that count: as much of a smaller ball is less.
    assert certify(records, Budget(4)).faint_count == 3
    assert found.passed


def test_no_file_and_a_mean_above_the_budget_are_counted_too() -> None:
    nothing = certify([], Budget(8))
    assert (nothing.files, nothing.mean_abs, sum(nothing.histogram)) == (0, 0.0, 0)
    assert (nothing.faint_count, nothing.jod_median, nothing.jod_least) == (0, 10.0, 10.0)
    wild = certify([replace(RECORD, linf=90, mean_abs=50.0)], Budget(8))
    assert sum(wild.histogram) == 1
