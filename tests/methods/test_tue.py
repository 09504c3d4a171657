"""TUE: what eq. 5 and 6 say, and what the presets make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.methods.tiny import BUDGET, images
from ue_cli.errors import UeError
from ue_cli.methods.discriminant import Gradient, csd
from ue_cli.methods.search import Search
from ue_cli.methods.tue import Centroids, Tue
from ue_cli.methods.tue_presets import tue
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.ssl_recipes import SSL_NAMES, SslName, small_ssl
from ue_cli.training.views import views
from ue_cli.types import Bank, TuePreset

NAMES = ("cats", "dogs", "newts")


def tiny(ssl: SslName = "simclr", **changes: Any) -> Tue:
    learner = replace(
        small_ssl(ssl),
        size=16,
        batch=18,
        widths=(8, 16),
        projection=(16, 8),
        predictor=8,
        queue=32,
        norm_splits=2 if ssl == "moco" else 1,
    )
    settings: dict[str, Any] = {
        "ssl": learner,
        "cells": 4,
        "per_class": 12,
        "max_rounds": 2,
        "batches": 2,
        "steps": 2,
        "contrastive": 1.0,
        "separation": 1.0,
    }
    return Tue(**(settings | changes))


def started(method: Tue, pictures: Tensor, labels: Tensor, seed: int) -> Search:
    """The random start that a search with this seed has."""
    shape = (method.per_class, 3, method.cells, method.cells)
    return Search(
        pictures,
        labels,
        NAMES,
        shape,
        method.ssl.size,
        BUDGET,
        seed=seed,
        variants=None,
        frozen=None,
        device="cpu",
    )


def carried(bank: Bank, labels: Tensor) -> Tensor:
    """Of every image, in levels: they take turns."""
    turn = torch.arange(len(labels)) // len(NAMES)
    return torch.tensor(bank.delta)[labels, turn % bank.delta.shape[1]].float()


@pytest.mark.parametrize("per_class", [1, 12], ids=["class-wise", "sample-wise"])
@pytest.mark.parametrize("ssl", SSL_NAMES)
def test_a_bank_is_whole_levels_in_budget_and_says_how_it_was_made(
    ssl: SslName, per_class: int
) -> None:
    method, seen = tiny(ssl, per_class=per_class), []
    made = method.optimise(
        *images(), NAMES, BUDGET, seed=0, on_step=lambda n, all_, value: seen.append((n, value))
    )
    bank = made.bank
    assert bank.classes == NAMES and bank.delta.dtype == np.int8
    assert bank.delta.shape == (3, per_class, 3, 4, 4)
    assert 4 < np.abs(bank.delta).max() <= 8
    recipe = bank.provenance.recipe
    assert bank.provenance.method == "tue" and recipe["ssl"]["ssl"] == ssl
    assert [n for n, _ in seen] == [1, 2]
    assert [round(value, 6) for _, value in seen] == [row["csd"] for row in recipe["rounds"]]
    build_contrast(method.ssl, seed=0).load_state_dict(made.surrogate)


def test_the_seed_decides_and_nothing_global_does() -> None:
    before = torch.random.get_rng_state()
    found = [tiny("moco").optimise(*images(), NAMES, BUDGET, seed=s) for s in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(found[0].bank.delta, found[1].bank.delta)
    assert not np.array_equal(found[0].bank.delta, found[2].bank.delta)


@pytest.mark.parametrize("gradient", ["paper", "released"])
@pytest.mark.parametrize("centroids", ["set", "batch"])
def test_without_its_surrogate_a_step_is_the_sign_of_csds_gradient(
    centroids: Centroids, gradient: Gradient
) -> None:
    """One batch of all, so that both kinds of centroids are the same."""
    pictures, labels = images()
    method = tiny(contrastive=0.0, steps=1, max_rounds=1, gradient=gradient, centroids=centroids)
    method = replace(method, ssl=replace(method.ssl, batch=36))
    start = started(method, pictures, labels, 5).entries.of(torch.arange(36))
    leaf = (start / 255).flatten(1).requires_grad_()
    (slope,) = torch.autograd.grad(csd(leaf, labels, gradient=gradient), leaf)
    expected = (start - 0.8 * slope.view(start.shape).sign()).clamp(-8, 8).round()
    made = method.optimise(pictures, labels, NAMES, BUDGET, seed=5)
    assert torch.equal(carried(made.bank, labels), expected)
    assert made.surrogate == {}


def test_batches_agree_on_the_whole_sets_centroids() -> None:
    """In batches of two images per class, published CSD pulls every batch its own way."""
    pictures, labels = images()
    values = {}
    for centroids in ("set", "batch"):
        method = tiny(contrastive=0.0, max_rounds=4, steps=4, centroids=centroids)
        method = replace(method, ssl=replace(method.ssl, batch=6))
        made = method.optimise(pictures, labels, NAMES, BUDGET, seed=0)
        values[centroids] = float(csd(carried(made.bank, labels).flatten(1), labels))
    assert values["set"] < 0.5 * values["batch"]


@pytest.mark.parametrize("ssl", SSL_NAMES)
def test_one_image_left_over_is_no_batch_of_its_own(ssl: SslName) -> None:
    """BatchNorm in train mode would have no variance, and contrast nothing to compare with."""
    pictures, labels = images(19)
    method = tiny(ssl, separation=0.0, train_mode=True, batches=1, steps=1, max_rounds=1)
    start = started(method, pictures, labels, 2).entries.of(torch.arange(19)).round()
    made = method.optimise(pictures, labels, NAMES, BUDGET, seed=2)
    moved = (carried(made.bank, labels) != start).flatten(1).any(dim=1)
    assert method.batch == 18 and moved.all()


@pytest.mark.slow
@pytest.mark.parametrize("ssl", SSL_NAMES)
def test_without_csd_the_perturbation_pleases_the_surrogate(ssl: SslName) -> None:
    """Its own loss is lower on what it ends with than on the random start."""
    pictures, labels = images()
    method = tiny(ssl, separation=0.0, max_rounds=2, steps=8, batches=4)
    made = method.optimise(pictures, labels, NAMES, BUDGET, seed=3)
    net = build_contrast(method.ssl, seed=0)
    net.load_state_dict(made.surrogate)
    net.eval()
    start = started(method, pictures, labels, 3).entries.of(torch.arange(36))
    losses = []
    for delta in (start, carried(made.bank, labels)):
        wide = functional.interpolate(delta, size=16, mode="nearest-exact")
        seen = (pictures + wide).clamp(0, 255)
        with torch.no_grad():
            draws = [views(seen, method.ssl, torch.Generator().manual_seed(i)) for i in range(8)]
            losses.append(sum(float(net.loss(*pair)) for pair in draws))
    assert losses[1] < losses[0]


def test_a_class_that_joins_leaves_the_others_as_they_are() -> None:
    pictures, labels = images()
    old = labels < 2
    first = tiny().optimise(pictures[old], labels[old], NAMES[:2], BUDGET, seed=0).bank
    second = tiny().optimise(pictures, labels, NAMES, BUDGET, seed=1, frozen=first).bank
    assert np.array_equal(second.delta[:2], first.delta)
    assert second.provenance.recipe["joined"] == [["newts"]]
    assert np.abs(second.delta[2]).max() > 4


def test_one_class_is_refused() -> None:
    with pytest.raises(UeError, match="at least two classes"):
        tiny().optimise(images()[0], torch.zeros(36, dtype=torch.int64), NAMES, BUDGET, seed=0)


def test_the_presets_differ_in_what_moves_the_patterns() -> None:
    for preset in get_args(TuePreset):
        method = tue(preset, "moco", cells=32, per_class=5000)
        assert method.ssl.ssl == "moco"
        assert (method.targeted > 0) == (preset == "targeted") == (not method.contrastive)
        assert (method.gradient, method.centroids) == ("paper", "set")
        assert (method.ssl.net == "resnet18") == (preset == "paper")
    chosen = tue("paper", "simclr", cells=32, per_class=1, contrastive=0.5, gradient="released")
    assert (chosen.contrastive, chosen.separation, chosen.gradient) == (0.5, 0.1, "released")
