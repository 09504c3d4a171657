"""Objectives against their formulas, and what a step may and may not change."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.training.contrastive import (
    Contrast,
    MoCo,
    SimSiam,
    build_contrast,
)
from ue_cli.training.objectives import info_nce, nt_xent
from ue_cli.training.precision import autocast
from ue_cli.training.ssl import learn, ssl_optimiser
from ue_cli.training.ssl_recipes import SSL_NAMES, SslName, SslRecipe, small_ssl


def tiny(name: SslName) -> SslRecipe:
    return replace(
        small_ssl(name),
        widths=(8, 16),
        size=16,
        batch=8,
        projection=(16, 8),
        predictor=4,
        queue=20,
        norm_splits=2 if name == "moco" else 1,
    )


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(count: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    return normals(count, 3, 16, 16, seed=seed), normals(count, 3, 16, 16, seed=seed + 1)


def copied(net: Contrast) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: Contrast, before: dict[str, Tensor]) -> set[str]:
    return {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }


def test_nt_xent_is_the_papers_formula() -> None:
    first, second = normals(5, 7), normals(5, 7, seed=1)
    rows = [row / row.norm() for row in [*first, *second]]
    total = 0.0
    for i, own in enumerate(rows):
        partner = (i + 5) % 10
        others = [math.exp(float(own @ rows[k]) / 0.3) for k in range(10) if k != i]
        total -= math.log(math.exp(float(own @ rows[partner]) / 0.3) / sum(others))
    assert float(nt_xent(first, second, 0.3)) == pytest.approx(total / 10, rel=1e-5)


def test_info_nce_is_cross_entropy_on_explicit_logits() -> None:
    queries, keys, queue = (
        functional.normalize(normals(n, 6, seed=seed)) for seed, n in enumerate((4, 4, 9))
    )
    logits = torch.zeros(4, 10)
    for i in range(4):
        logits[i, 0] = queries[i] @ keys[i]
        for j in range(9):
            logits[i, 1 + j] = queries[i] @ queue[j]
    expected = functional.cross_entropy(logits / 0.2, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(info_nce(queries, keys, queue, 0.2), expected)


def test_simsiam_compares_predictions_with_projections_both_ways() -> None:
    net = cast(SimSiam, build_contrast(tiny("simsiam"), seed=0).eval())
    first, second = pair()
    with autocast("cpu"), torch.no_grad():
        one, other = net.projector(net.backbone(first)), net.projector(net.backbone(second))
        there, back = net.predictor(one), net.predictor(other)
    total = 0.0
    for p, z in [*zip(there, other, strict=True), *zip(back, one, strict=True)]:
        p, z = p.float(), z.float()
        total -= float(p @ z / p.norm() / z.norm()) / 16
    assert float(net.loss(first, second).detach()) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_asks_its_queue_for_keys_of_the_key_encoder(symmetric: bool) -> None:
    net = cast(MoCo, build_contrast(replace(tiny("moco"), symmetric=symmetric), seed=0))
    with torch.no_grad():
        for weight in net.key_backbone.parameters():
            weight.mul_(1.1)
    net.eval()
    first, second = pair()

    def one_way(asking: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        with autocast("cpu"), torch.no_grad():
            queries = net.projector(net.backbone(asking))
            keys = net.key_projector(net.key_backbone(held))
        queries, keys = (functional.normalize(x.float()) for x in (queries, keys))
        return info_nce(queries, keys, net.queue, 0.2), keys

    there, expected = one_way(first, second)
    if symmetric:
        back, more = one_way(second, first)
        there, expected = (there + back) / 2, torch.cat([expected, more])
    loss, keys = net.compare(first, second)
    torch.testing.assert_close(loss.detach(), there)
    torch.testing.assert_close(keys, expected)


def test_in_train_mode_keys_are_normalised_in_another_company() -> None:
    net = cast(MoCo, build_contrast(tiny("moco"), seed=0))
    first, _ = pair()
    net.train()
    with torch.no_grad(), autocast("cpu"):
        together = functional.normalize(net.projector(net.backbone(first)).float())
    _, keys = net.compare(first, first)
    # The key encoder still is the query encoder: only the statistics can tell them apart.
    assert not torch.allclose(keys, together, atol=1e-2)
    _, same = build_contrast(replace(tiny("moco"), norm_splits=1), seed=0).compare(first, first)
    assert not torch.allclose(keys, same, atol=1e-2)


@pytest.mark.parametrize("name", SSL_NAMES)
def test_the_gradient_goes_through_keys_on_request(name: SslName) -> None:
    net = build_contrast(tiny(name), seed=0).eval().requires_grad_(False)
    first, second = (x.requires_grad_() for x in pair())
    stopped = torch.autograd.grad(net.loss(first, second), (first, second), allow_unused=True)
    through = torch.autograd.grad(net.loss(first, second, through_keys=True), (first, second))
    if name == "simclr":
        assert all(torch.equal(s, t) for s, t in zip(stopped, through, strict=True))
    elif name == "moco":
        assert stopped[1] is None and bool((through[1] != 0).any())
        torch.testing.assert_close(stopped[0], through[0])
    else:
        assert not torch.allclose(stopped[1], through[1])


def test_without_stopping_simsiam_has_the_whole_derivative() -> None:
    net = build_contrast(tiny("simsiam"), seed=0).eval().requires_grad_(False)
    first, second = pair()
    first.requires_grad_()
    (slope,) = torch.autograd.grad(net.loss(first, second, through_keys=True), first)
    direction = slope / slope.norm()
    with torch.no_grad():
        ahead, behind = (net.loss(first + s * direction, second) for s in (0.5, -0.5))
    assert float(ahead - behind) == pytest.approx(float(slope.norm()), rel=0.2)


@pytest.mark.parametrize("name", SSL_NAMES)
def test_steps_on_images_leave_no_trace_in_eval_mode(name: SslName) -> None:
    net = build_contrast(tiny(name), seed=0).eval().requires_grad_(False)
    before = copied(net)
    first, second = (x.requires_grad_() for x in pair())
    torch.autograd.backward(net.loss(first, second, through_keys=True))
    assert first.grad is not None and bool(first.grad.isfinite().all())
    assert changed(net, before) == set()
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize("name", SSL_NAMES)
def test_steps_on_images_in_train_mode_only_move_statistics(name: SslName) -> None:
    net = build_contrast(tiny(name), seed=0).train().requires_grad_(False)
    before = copied(net)
    net.loss(*pair(), through_keys=True)
    moved = changed(net, before)
    assert moved
    assert all(one.endswith(("running_mean", "running_var", "batches_tracked")) for one in moved)


def test_the_key_encoder_follows_exactly_and_never_learns() -> None:
    net = cast(MoCo, build_contrast(tiny("moco"), seed=0))
    net.requires_grad_(False).requires_grad_(True).train()
    optimiser = ssl_optimiser(net, tiny("moco"))
    learn(net, optimiser, *pair())
    names = [name for name, _ in net.backbone.named_parameters()]
    keys, learned = dict(net.key_backbone.named_parameters()), net.backbone.get_parameter
    before = {name: keys[name].clone() for name in names}
    assert not torch.equal(before["stem.weight"], learned("stem.weight"))
    net.stepped(torch.zeros(0, 8))
    for name in names:
        expected = 0.99 * before[name] + 0.01 * learned(name)
        torch.testing.assert_close(keys[name], expected)
    assert all(not weight.requires_grad and weight.grad is None for weight in keys.values())


def test_the_queue_forgets_the_oldest_and_wraps_around() -> None:
    net = cast(MoCo, build_contrast(replace(tiny("moco"), queue=5), seed=0))
    first = net.queue.clone()
    assert torch.allclose(first.norm(dim=1), torch.ones(5))
    marks = torch.arange(1.0, 9.0)[:, None].expand(-1, 8)
    net.stepped(marks[:3])
    assert net.queue[:3, 0].tolist() == [1, 2, 3] and torch.equal(net.queue[3:], first[3:])
    net.stepped(marks[3:7])
    assert net.queue[:, 0].tolist() == [6, 7, 3, 4, 5]
    net.stepped(marks[7:])
    assert net.queue[:, 0].tolist() == [6, 7, 8, 4, 5]
    net.stepped(marks)
    assert sorted(net.queue[:, 0].tolist()) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("name", SSL_NAMES)
def test_first_weights_depend_on_the_seed_alone(name: SslName) -> None:
    state = torch.get_rng_state()
    one, again, other = (build_contrast(tiny(name), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert changed(one, copied(again)) == set()
    assert changed(one, copied(other))


@pytest.mark.parametrize("name", SSL_NAMES)
def test_a_callers_precision_does_not_reach_the_objective(name: SslName) -> None:
    net = build_contrast(tiny(name), seed=0).eval()
    first, second = pair()
    expected = net.loss(first, second)
    with autocast("cpu"):
        assert torch.equal(net.loss(first, second), expected)
    assert expected.dtype == torch.float32


def test_features_come_before_the_heads() -> None:
    net = build_contrast(tiny("moco"), seed=0).eval()
    features = net.encode(pair()[0])
    assert features.shape == (8, net.width) == (8, 16)
    assert features.dtype == torch.float32
    assert bool((features >= 0).all())  # what a ReLU and a mean leave


def test_resnet18_has_the_stem_for_cifar() -> None:
    net = build_contrast(replace(tiny("simclr"), net="resnet18"), seed=0).eval()
    with torch.no_grad():
        assert net.encode(pair(1)[0]).shape == (1, 512)
    assert net.backbone.get_parameter("conv1.weight").shape[2:] == (3, 3)
