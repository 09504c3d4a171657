"""Trainings without labels, on gratings whose class is their direction and pace."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ue_cli.countermeasures.filters import Grayscale
from ue_cli.countermeasures.mixing import Mixup
from ue_cli.errors import UeError
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.hooks import NOTHING
from ue_cli.training.ssl import encoded, train_ssl
from ue_cli.training.ssl_recipes import (
    SSL_NAMES,
    SSL_TITLES,
    SslName,
    SslRecipe,
    small_ssl,
    ssl_recipe,
)
from ue_cli.training.ssl_victims import read_out, readout_epochs, ssl_victim


def gratings(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Faint square waves of four kinds under strong noise, anywhere in phase."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    cycles = torch.tensor([[2, 0], [0, 2], [2, 2], [3, 1]])[labels][:, :, None, None]
    along = torch.arange(16) / 16
    turns = cycles[:, 0] * along[:, None] + cycles[:, 1] * along
    phase = torch.rand(count, 1, 1, generator=generator)
    wave = torch.cos(2 * math.pi * (turns + phase)).sign()[:, None]
    noise = torch.randn(count, 3, 16, 16, generator=generator)
    return (128 + 40 * wave + 60 * noise).clamp(0, 255).to(torch.uint8), labels


def tiny(name: SslName, epochs: int = 1) -> SslRecipe:
    return replace(
        small_ssl(name),
        widths=(8, 16),
        size=16,
        batch=32,
        epochs=epochs,
        projection=(32, 16),
        predictor=8,
        queue=256,
        min_scale=0.5,
    )


@pytest.mark.parametrize("name", SSL_NAMES)
def test_a_training_depends_on_its_arguments_alone(name: SslName) -> None:
    images, _ = gratings(64)
    state, seen = torch.get_rng_state(), []
    first, again, other = (
        train_ssl(images, tiny(name), seed=seed, on_epoch=lambda *said: seen.append(said))
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, again.state[key]) for key, value in first.state.items())
    assert first.losses == again.losses != other.losses
    assert seen[0] == (1, first.losses[0])
    assert all(bool(value.isfinite().all()) for value in first.state.values())


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    result = train_ssl(gratings(10)[0], tiny("simclr", 2), seed=0)
    assert len(result.losses) == 2


def test_the_schedule_leaves_the_first_step_as_it_is_and_not_the_last() -> None:
    images, _ = gratings(64)
    recipe = tiny("simsiam", 4)
    constant = train_ssl(images, replace(recipe, schedule="constant"), seed=0)
    cosine = train_ssl(images, replace(recipe, schedule="cosine"), seed=0)
    assert constant.losses[0] == cosine.losses[0]
    assert constant.losses[-1] != cosine.losses[-1]


def test_an_encoder_learns_from_the_files_and_is_read_out_with_labels() -> None:
    images, labels = gratings(32)
    asked, truth = gratings(20, seed=1)
    recipe = tiny("simclr", 4)
    result = ssl_victim(images, labels, asked, truth, recipe, seed=3)
    state = train_ssl(images, recipe, seed=3).state
    assert all(torch.equal(value, result.state[name]) for name, value in state.items())
    net = build_contrast(recipe, seed=3)
    assert read_out(net, images, labels, asked, truth, seed=3) == result.floor
    net.load_state_dict(state)
    assert read_out(net, images, labels, asked, truth, seed=3) == result.learned
    assert result.floor != result.learned
    assert result.accuracy == (result.learned.probe,) and result.fit == result.learned.fit


@pytest.mark.slow
@pytest.mark.parametrize("name", SSL_NAMES)
def test_learning_without_labels_beats_a_random_encoder(name: SslName) -> None:
    recipe = replace(tiny(name, 6), widths=(16, 32), stem_stride=1, batch=64)
    result = ssl_victim(*gratings(768), *gratings(300, seed=1), recipe, seed=0)
    assert result.learned.probe > result.floor.probe + 0.02
    assert result.learned.knn > result.floor.knn + 0.1


def test_features_are_those_of_whole_frames_in_eval_mode() -> None:
    images, _ = gratings(20)
    net = build_contrast(tiny("simsiam"), seed=0).train()
    torch.testing.assert_close(encoded(net, images)[7:8], encoded(net, images[7:8]))
    assert not net.training


def test_recipes_are_those_that_were_released() -> None:
    simclr, moco, simsiam = (ssl_recipe(name) for name in SSL_NAMES)
    assert (simclr.optimiser, simclr.lr, simclr.weight_decay) == ("adam", 1e-3, 1e-6)
    assert (simclr.temperature, simclr.batch, simclr.net) == (0.5, 512, "resnet18")
    assert (moco.lr, moco.momentum, moco.weight_decay) == (0.3, 0.9, 1e-4)
    assert (moco.temperature, moco.queue, moco.key_momentum) == (0.2, 4096, 0.99)
    assert (moco.norm_splits, moco.symmetric) == (8, False)
    assert (simsiam.lr, simsiam.momentum, simsiam.weight_decay) == (0.06, 0.9, 5e-4)
    assert set(SSL_TITLES) == set(SSL_NAMES)
    assert all(small_ssl(name).ssl == name for name in SSL_NAMES)


def test_an_unknown_learner_is_refused_with_the_closest() -> None:
    with pytest.raises(UeError) as caught:
        small_ssl("simclar")
    assert caught.value.code == "ssl-unknown"
    assert "simclr" in caught.value.hint


def test_an_encoder_is_read_out_on_the_way_and_learns_no_otherwise_for_that() -> None:
    images, labels = gratings(32)
    recipe = tiny("moco", 5)
    once, often = (
        ssl_victim(images, labels, *gratings(20, seed=1), recipe, seed=3, readouts=readouts)
        for readouts in (1, 2)
    )
    assert (once.epochs, often.epochs) == ((5,), (2, 5))
    assert once.readouts == often.readouts[1:] and once.floor == often.floor
    assert often.accuracy == tuple(one.probe for one in often.readouts)
    assert all(torch.equal(value, often.state[name]) for name, value in once.state.items())


@pytest.mark.parametrize(
    ("epochs", "readouts", "after"),
    [(5, 1, (5,)), (3, 10, (1, 2, 3)), (60, 3, (20, 40, 60)), (7, 3, (2, 4, 7))],
)
def test_readouts_are_spread_over_the_epochs(
    epochs: int, readouts: int, after: tuple[int, ...]
) -> None:
    assert readout_epochs(epochs, readouts) == after


def test_a_countermeasure_treats_the_files_and_the_tests_and_nothing_else() -> None:
    images, labels = gratings(32)
    asked, truth = gratings(20, seed=1)
    recipe, gray = tiny("simclr", 2), Grayscale()
    treated = gray.prepare(images, labels, NOTHING, torch.Generator())
    by_hand = ssl_victim(treated, labels, gray.test(asked), truth, recipe, seed=3)
    result = ssl_victim(images, labels, asked, truth, recipe, seed=3, hooks=gray)
    assert (result.readouts, result.floor) == (by_hand.readouts, by_hand.floor)
    assert result.losses == by_hand.losses
    with pytest.raises(ValueError, match="Mixup changes steps"):
        ssl_victim(images, labels, asked, truth, recipe, seed=3, hooks=Mixup())


def test_a_training_that_diverges_is_no_result() -> None:
    with pytest.raises(UeError, match="should have a finite loss, but has nan in epoch") as caught:
        train_ssl(gratings(64)[0], replace(tiny("moco", 3), lr=math.inf), seed=0)
    assert caught.value.code == "ssl-diverged" and caught.value.hint
