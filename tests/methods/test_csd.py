"""CSD against a loop over classes with autograd, and the descent against the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ue_cli.errors import UeError
from ue_cli.methods.csd import PixelCsd, keyed_start
from ue_cli.methods.descent import descend
from ue_cli.methods.discriminant import Gradient, Pull, Summary, csd, pull_of_patterns, summarise
from ue_cli.types import Budget

BUDGET = Budget(8)
SEEDS = {name: name.encode() for name in "abcdef"}


def by_loop(delta: Tensor, labels: Tensor, gradient: Gradient) -> Tensor:
    """Eq. 2-4 as they stand, one class and one pair at a time."""
    groups = [delta[labels == k] for k in sorted(set(labels.tolist()))]
    centroids = [group.mean(0) for group in groups]
    spreads = []
    for group, centroid in zip(groups, centroids, strict=True):
        if len(group) == 1:
            spreads.append(delta.new_zeros(()))
            continue
        spread = torch.stack([(row - centroid).norm() for row in group]).mean()
        spreads.append(spread.detach() if gradient == "released" else spread)
    offset = 1e-5 if gradient == "released" else 0.0
    total, m = delta.new_zeros(()), len(groups)
    for i in range(m):
        for j in range(m):
            if i != j:
                distance = (centroids[i] - centroids[j]).norm()
                total = total + (spreads[i] + spreads[j] + offset) / (distance + offset)
    return total / (m * (m - 1))


def pull_of(delta: Tensor, labels: Tensor, gradient: Gradient = "paper") -> Pull:
    """`pull_of_patterns` of samples (n, d) in any order, in units of full scale."""
    present, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    order = index.argsort(stable=True)
    first = counts.cumsum(0) - counts
    rank = torch.arange(len(index), device=index.device) - first[index[order]]
    grouped = delta.new_zeros(len(present), int(counts.max()), delta.shape[1])
    weights = delta.new_zeros(grouped.shape[:2])
    grouped[index[order], rank] = delta[order]
    weights[index[order], rank] = 1
    pull = pull_of_patterns(grouped, weights, gradient)
    return replace(pull, present=present)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    n, d = draw(st.integers(2, 20)), draw(st.integers(2, 12))
    # Sparse labels: classes without a sample and classes of one are common.
    labels = draw(
        st.lists(st.sampled_from([0, 1, 3, 7, 100]), min_size=n, max_size=n).filter(
            lambda found: len(set(found)) > 1
        )
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return torch.randn(n, d, generator=generator, dtype=torch.float64), torch.tensor(labels)


@settings(deadline=None, max_examples=30)
@given(batch=batches(), gradient=st.sampled_from(["paper", "released"]))
def test_values_and_gradients_are_the_loops(
    batch: tuple[Tensor, Tensor], gradient: Gradient
) -> None:
    delta, labels = batch
    ours, theirs = delta.clone().requires_grad_(), delta.clone().requires_grad_()
    value, expected = csd(ours, labels, gradient=gradient), by_loop(theirs, labels, gradient)
    assert torch.allclose(value, expected, rtol=1e-9)
    (found,) = torch.autograd.grad(value, ours)
    (wanted,) = torch.autograd.grad(expected, theirs)
    assert torch.allclose(found, wanted, rtol=1e-7, atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(batch=batches(), gradient=st.sampled_from(["paper", "released"]))
def test_the_slope_of_a_set_is_autograds_at_any_of_its_samples(
    batch: tuple[Tensor, Tensor], gradient: Gradient
) -> None:
    delta, labels = batch
    leaf = delta.clone().requires_grad_()
    value = csd(leaf, labels, gradient=gradient)
    (wanted,) = torch.autograd.grad(value, leaf)
    pull = pull_of(delta, labels, gradient)
    assert pull.value == pytest.approx(float(value.detach()), rel=1e-9)
    some = torch.arange(len(delta)).flip(0)[: max(1, len(delta) // 2)]
    sizes = labels.bincount()[labels[some]][:, None]
    assert torch.allclose(
        pull.of(delta[some], labels[some]) / sizes, wanted[some], rtol=1e-7, atol=1e-10
    )


@pytest.mark.parametrize("gradient", ["paper", "released"])
def test_the_slope_of_patterns_counts_whoever_carries_them(gradient: Gradient) -> None:
    """In levels, with a pattern that nobody carries and a class without a sample."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64)
    weights = torch.tensor([[2, 0, 1], [0, 0, 0], [1, 1, 1], [0, 4, 0]], dtype=torch.float64)
    times = weights.flatten().long()
    samples = patterns.flatten(0, 1).repeat_interleave(times, 0)
    labels = torch.arange(4).repeat_interleave(3).repeat_interleave(times)
    wanted = pull_of(samples / 255, labels, gradient)
    found = pull_of_patterns(patterns, weights, gradient, unit=1 / 255)
    assert found.value == pytest.approx(wanted.value, rel=1e-12)
    assert torch.allclose(found.of(samples, labels), wanted.of(samples / 255, labels), rtol=1e-9)


def test_the_slope_of_class_wise_patterns_is_no_rounding_error() -> None:
    """Their spreads are 0: what is left pushes centroids apart, and signed steps follow it."""
    patterns = torch.randn(3, 1, 48, generator=torch.Generator().manual_seed(0))
    weights, slopes = torch.tensor([[7.0], [1.0], [12.0]]), []
    for kind in (torch.float32, torch.float64):
        pull = pull_of_patterns(patterns.to(kind), weights.to(kind), unit=1 / 255)
        slopes.append(pull.of(patterns[:, 0].to(kind), torch.arange(3)))
    assert torch.allclose(slopes[0].double(), slopes[1], rtol=1e-4, atol=1e-16)


@settings(deadline=None, max_examples=20)
@given(batch=batches(), scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_scale_translation_and_order_do_not_matter(
    batch: tuple[Tensor, Tensor], scale: float, shift: float
) -> None:
    delta, labels = batch
    value = csd(delta, labels)
    assert torch.allclose(csd(scale * delta + shift, labels), value, rtol=1e-6)
    assert torch.allclose(csd(delta.flip(0), labels.flip(0)), value, rtol=1e-9)


def test_class_wise_constants_have_csd_zero_whatever_they_are() -> None:
    """Random signs included: why a low CSD is no evidence."""
    labels = torch.arange(5).repeat(7)
    delta = torch.randn(5, 48, generator=torch.Generator().manual_seed(0)).sign()[labels]
    delta.requires_grad_()
    value = csd(delta, labels)
    assert abs(float(value.detach())) < 1e-6
    (gradient,) = torch.autograd.grad(value, delta)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("gradient", ["paper", "released"])
def test_zero_start_is_stuck_at_one(gradient: Gradient) -> None:
    delta = torch.zeros(6, 4, requires_grad=True)
    value = csd(delta, torch.tensor([0, 0, 1, 1, 2, 2]), gradient=gradient)
    assert float(value.detach()) == pytest.approx(1)
    (found,) = torch.autograd.grad(value, delta)
    assert bool((found == 0).all())


def test_one_class_alone_has_no_slope() -> None:
    with pytest.raises(UeError, match="at least 2"):
        pull_of(torch.randn(3, 4), torch.zeros(3, dtype=torch.int64))


def test_one_class_alone_has_no_csd() -> None:
    with pytest.raises(UeError, match="at least 2, got 1"):
        csd(torch.randn(3, 4), torch.tensor([5, 5, 5]))
    with pytest.raises(UeError, match="at least 2, got 1"):
        descend(torch.randn(1, 3, 4), radius=1, step=0.1, steps=1)


def reference_descent(
    start: Tensor, fixed: Tensor | None, steps: int, gradient: Gradient
) -> list[Tensor]:
    """Signed-gradient steps by autograd over everything at once, one state per step."""
    m, per_class, d = start.shape
    states, delta = [], start.reshape(-1, d).clone()
    labels = torch.arange(m).repeat_interleave(per_class)
    for _ in range(steps):
        delta.requires_grad_()
        every, names = delta, labels
        if fixed is not None:
            every = torch.cat([delta, fixed.reshape(-1, d)])
            names = torch.cat([labels, m + torch.arange(len(fixed)).repeat_interleave(per_class)])
        (found,) = torch.autograd.grad(csd(every, names, gradient=gradient), delta)
        delta = (delta.detach() - 0.1 * found.sign()).clamp(-1, 1)
        states.append(delta.reshape(start.shape))
    return states


@settings(deadline=None, max_examples=25)
@given(
    m=st.integers(2, 5),
    per_class=st.integers(1, 6),
    d=st.integers(2, 9),
    frozen=st.integers(0, 3),
    gradient=st.sampled_from(["paper", "released"]),
    block=st.sampled_from([1, 7, 40, 10_000]),
)
def test_descent_follows_autograd_in_blocks_of_any_size(
    m: int, per_class: int, d: int, frozen: int, gradient: Gradient, block: int
) -> None:
    generator = torch.Generator().manual_seed(m * 1000 + per_class * 100 + d * 10 + frozen)
    both = 2 * torch.rand(m + frozen, per_class, d, generator=generator, dtype=torch.float64) - 1
    start, others = both[:m], both[m:] if frozen else None
    fixed = None if others is None else summarise(others)
    expected = reference_descent(start, others, 3, gradient)
    found, values = start.clone(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ue_cli.methods.discriminant.BLOCK_VALUES", block)
        descend(
            found,
            radius=1,
            step=0.1,
            steps=3,
            gradient=gradient,
            fixed=fixed,
            on_step=lambda done, steps, value: values.append((done, steps, value)),
        )
    assert torch.allclose(found, expected[-1], atol=1e-9)
    assert [(done, steps) for done, steps, _ in values] == [(1, 3), (2, 3), (3, 3)]
    own = summarise(start)
    joint = own if fixed is None else own.joined(fixed)
    assert values[0][2] == pytest.approx(joint.value(gradient), rel=1e-9)


def test_summary_is_csd() -> None:
    delta = torch.randn(4, 6, 10, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(4).repeat_interleave(6)
    assert summarise(delta).value() == pytest.approx(float(csd(delta.flatten(0, 1), labels)))
    with pytest.raises(UeError, match="at least 2"):
        Summary(torch.zeros(1, 3), torch.zeros(1)).value()


def test_method_lowers_csd_within_the_budget_and_keeps_samples_apart() -> None:
    bank = PixelCsd(cells=8, per_class=12, steps=20).optimise("abcd", SEEDS, BUDGET)
    assert bank.delta.shape == (4, 12, 3, 8, 8)
    assert bank.classes == ("a", "b", "c", "d")
    assert np.abs(bank.delta).max() <= 8
    recipe = bank.provenance.recipe
    assert recipe["csd_after"] < 0.35 < 1 < recipe["csd_before"]
    assert recipe["gradient"] == "paper"
    assert recipe["step"] == 0.8
    # Graded and sample-wise, not one pattern per class.
    assert len(np.unique(bank.delta[0].reshape(12, -1), axis=0)) == 12


def test_released_gradient_collapses_a_class_to_one_saturated_pattern() -> None:
    bank = PixelCsd(per_class=6, steps=20, gradient="released").optimise("abc", SEEDS, BUDGET)
    assert bank.provenance.recipe["gradient"] == "released"
    assert (np.abs(bank.delta) == 8).mean() > 0.95
    assert bank.provenance.recipe["csd_after"] < 0.1


def test_a_class_that_joins_leaves_the_others_as_they_are() -> None:
    method = PixelCsd(cells=4, per_class=5, steps=15)
    first = method.optimise(["a", "b"], SEEDS, BUDGET)
    second = method.optimise(["a", "b", "c"], SEEDS, BUDGET, frozen=first)
    assert second.classes == ("a", "b", "c")
    assert np.array_equal(second.delta[:2], first.delta)
    assert second.provenance.recipe["csd_after"] < second.provenance.recipe["csd_before"]
    assert second.provenance.recipe["joined"] == [["c"]]
    assert method.optimise(["b"], SEEDS, BUDGET, frozen=second) is second
    with pytest.raises(UeError, match="asked for"):
        PixelCsd(cells=5, per_class=5).optimise(["d"], SEEDS, BUDGET, frozen=first)
    with pytest.raises(UeError, match="asked for"):
        method.optimise(["d"], SEEDS, Budget(4), frozen=first)


def test_one_class_is_told_apart_from_unperturbed_images() -> None:
    bank = PixelCsd(cells=4, per_class=8, steps=20).optimise(["a"], SEEDS, BUDGET)
    assert np.abs(bank.delta.astype(float).mean(1)).mean() > 3
    assert bank.provenance.recipe["csd_after"] < 0.5
    with pytest.raises(UeError, match="no class"):
        PixelCsd().optimise([], SEEDS, BUDGET)


def test_the_same_seeds_give_the_same_bank_and_others_another() -> None:
    method = PixelCsd(cells=4, per_class=3, steps=5)
    first, again = (method.optimise(["a", "b"], SEEDS, BUDGET) for _ in range(2))
    other = method.optimise(["a", "b"], {"a": b"x", "b": b"y"}, BUDGET)
    assert np.array_equal(first.delta, again.delta)
    assert not np.array_equal(first.delta, other.delta)


def test_start_is_keyed_uniform_and_fixed_for_good() -> None:
    start = keyed_start(b"ue", 50, 100)
    assert start.dtype == np.float32
    assert np.array_equal(start[:7].ravel(), keyed_start(b"ue", 7, 100).ravel())
    assert -1 < start.min() < -0.99 < 0.99 < start.max() < 1
    assert abs(start.mean()) < 0.03
    assert np.allclose(start[0, :3], [-0.649, 0.1332, -0.0505], atol=1e-4)
