from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from ue_cli.errors import UeError
from ue_cli.training.architectures import ARCHITECTURES, FROM_SCRATCH, VICTIMS
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.nets import NETS
from ue_cli.training.ssl_recipes import SSL_NAMES
from ue_cli.training.supervised import VictimRecipe, train_victim
from ue_cli.training.victims import encoder_recipe, recipe_of, victim_recipe

SCRATCH = [name for name in VICTIMS if not ARCHITECTURES[name].pretrained]


@pytest.mark.parametrize("name", SCRATCH)
@pytest.mark.parametrize("side", [16, 17, 28, 30, 32, 48, 64, 80, 96, 100, 128, 224, 256])
def test_every_victim_can_be_built_and_fed_at_every_side(name: str, side: int) -> None:
    recipe = recipe_of(name, train_files=800, side=side)
    assert 0.7 * side - 8 <= recipe.size <= side
    if isinstance(recipe, VictimRecipe):
        assert recipe.net == name
        assert recipe.augment == "resized-crop" or recipe.size == side
    else:
        assert recipe.ssl == name
        assert side > 32 or recipe.size == side
        with torch.inference_mode():
            seen = torch.zeros(1, 3, recipe.size, recipe.size)
            assert build_contrast(recipe, seed=0).eval()(seen).shape == (1, recipe.widths[-1])
    if name == "vit-tiny":
        with torch.device("meta"):
            NETS[name](2, size=recipe.size, seed=0)


@pytest.mark.parametrize("name", FROM_SCRATCH)
@pytest.mark.parametrize(("files", "epochs"), [(10, 300), (800, None), (10**6, 10)])
def test_every_victim_trains_long_enough(name: str, files: int, epochs: int | None) -> None:
    recipe = victim_recipe(name, train_files=files, side=64)
    steps = recipe.epochs * (files // recipe.batch)
    assert recipe.epochs == epochs if epochs else steps >= 1_800


@pytest.mark.parametrize("name", SSL_NAMES)
def test_every_encoder_trains_long_enough_and_keeps_few_keys_of_its_own(name: str) -> None:
    for files, epochs in ((10, 1_000), (5_000, 60), (10**6, 20)):
        assert encoder_recipe(name, train_files=files, side=32).epochs == epochs
    recipe = encoder_recipe(name, train_files=1_600, side=32)
    assert recipe.epochs * (1_600 // recipe.batch) >= 1_000 and recipe.queue <= 800


def test_few_files_are_stepped_on_in_small_batches_at_the_rate_that_goes_with_them() -> None:
    for name in FROM_SCRATCH:
        few, many = (victim_recipe(name, train_files=n, side=32) for n in (4_000, 4_001))
        share = few.batch / many.batch
        assert few.batch == 32 and share < 1
        # Goyal et al., 2017; for Adam Malladi et al., NeurIPS 2022.
        rate = share if ARCHITECTURES[name].optimiser == "sgd" else share**0.5
        assert few.lr == pytest.approx(rate * many.lr)


def test_the_small_victim_is_the_surrogate_with_the_recipe_of_its_defaults() -> None:
    """Trainings in the cache are known by their recipe: nothing but data decides the rest."""
    plain = asdict(VictimRecipe())
    small = asdict(victim_recipe("small", train_files=4_800, side=64))
    assert {key for key in plain if plain[key] != small[key]} <= {"epochs", "size"}


def test_an_unknown_victim_is_refused_with_the_list() -> None:
    with pytest.raises(UeError, match="no victim 'resnet34'") as caught:
        recipe_of("resnet34", train_files=10, side=64)
    assert caught.value.code == "victim-unknown"
    assert all(name in caught.value.hint for name in VICTIMS)


@pytest.mark.slow
def test_a_transformer_learns_what_separates_its_classes() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 2
    images = torch.randint(0, 200, (96, 3, 16, 16), generator=draw)
    images[:, 0] += 55 * labels[:, None, None]
    pixels = images.to(torch.uint8)
    recipe = VictimRecipe(
        net="vit-tiny", epochs=12, size=16, augment="shift", reach=2, batch=32, lr=5e-4
    )
    result = train_victim(pixels[:64], labels[:64], pixels[64:], labels[64:], recipe, seed=0)
    assert result.last > 0.9 and result.fit > 0.9
