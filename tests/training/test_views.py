"""Views of contrastive learning against torchvision's operations on one image at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from ue_cli.training.ssl_recipes import SslRecipe, small_ssl
from ue_cli.training.views import Draw, apply_view, draw_view, views

RECIPE = replace(small_ssl("simclr"), size=24, min_scale=0.25)
ADJUST = (
    vision.adjust_brightness,
    vision.adjust_contrast,
    vision.adjust_saturation,
    vision.adjust_hue,
)


def pictures(count: int, side: int = 32, low: int = 0, high: int = 256, seed: int = 0) -> Tensor:
    """Smooth colours with some detail."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=side, mode="bilinear")
    detail = torch.rand(count, 3, side, side, generator=generator)
    return (low + (0.8 * smooth + 0.2 * detail) * (high - low)).to(torch.uint8)


def in_levels(normalised: Tensor) -> Tensor:
    return normalised * 64 + 118


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


NO = torch.zeros(4, dtype=torch.bool)
SAME = torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None].expand(-1, 4)


def test_a_crop_is_the_one_that_was_drawn() -> None:
    # Squares of 16 and 32 pixels of the 32, at whole pixels.
    crop = torch.tensor(
        [
            [0, 0, 1, 0],
            [0.5, 0.5, 0.5, 0.5],
            [5 / 16, 0, 0, 1 / 16],
            [3 / 16, 0, 0, 8 / 16],
            [0.9, 0.1, 0.9, 0.2],
        ]
    )
    images = pictures(4)
    found = in_levels(apply_view(images, Draw(crop, SAME, NO, NO, (0, 1, 2, 3)), RECIPE))
    boxes = [(5, 3, 16, 16), (0, 0, 16, 16), (0, 0, 32, 32), (1, 8, 16, 16)]
    for index, box in enumerate(boxes):
        one = vision.resized_crop(images[index].float(), *box, [24, 24], antialias=True)
        if crop[4, index] < 0.5:
            one = vision.horizontal_flip(one)
        # torchvision's outermost pixels do not know what is beyond the crop.
        inner = (slice(None), slice(2, -2), slice(2, -2))
        torch.testing.assert_close(found[index][inner], one[inner], atol=0.05, rtol=0)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 0, 1), (1, 3, 2, 0)])
def test_colours_are_what_torchvision_makes_of_their_draw(order: tuple[int, ...]) -> None:
    images = pictures(4)
    crop = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.9])[:, None].expand(-1, 4)
    strengths = torch.tensor(
        [
            [0.7, 1.3, 1.4, 0.6],
            [1.2, 0.6, 1.4, 0.9],
            [0.8, 1.4, 0.6, 1.1],
            [-0.1, 0.05, 0.1, 0.02],
        ]
    )
    jittered = torch.tensor([True, False, True, True])
    gray = torch.tensor([False, False, False, True])
    found = in_levels(apply_view(images, Draw(crop, strengths, jittered, gray, order), RECIPE))
    for index, image in enumerate(images.float() / 255):
        one = vision.resize(image, [24, 24], antialias=True)
        if jittered[index]:
            for each in order:
                one = ADJUST[each](one, float(strengths[each, index]))
        if gray[index]:
            one = vision.rgb_to_grayscale(one, 3)
        torch.testing.assert_close(found[index], one * 255, atol=0.05, rtol=0)


def test_draws_have_their_shares_and_stay_in_reach() -> None:
    drawn = draw_view(4000, RECIPE, generator())
    assert abs(float(drawn.jittered.float().mean()) - 0.8) < 0.03
    assert abs(float(drawn.gray.float().mean()) - 0.2) < 0.03
    middle = torch.tensor([1.0, 1.0, 1.0, 0.0])
    away = (drawn.strengths - middle[:, None]).abs().amax(dim=1)
    assert bool((away <= torch.tensor(RECIPE.jitter) + 1e-6).all())
    assert bool((away > 0.98 * torch.tensor(RECIPE.jitter)).all())
    orders = {draw_view(1, RECIPE, generator(seed)).order for seed in range(200)}
    assert len(orders) == 24


def test_bytes_and_floating_point_give_the_same_views() -> None:
    images = pictures(5)
    before = images.clone()
    for one, other in zip(
        views(images, RECIPE, generator(1)),
        views(images.float(), RECIPE, generator(1)),
        strict=True,
    ):
        assert one.shape == (5, 3, 24, 24)
        assert torch.equal(one, other)
        assert one.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def test_views_depend_on_the_generator_alone_and_differ_from_each_other() -> None:
    images = pictures(5)
    state = torch.get_rng_state()
    (one, other), (again, _), (later, _) = (
        views(images, RECIPE, generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, again)
    assert not torch.equal(one, other) and not torch.equal(one, later)


@pytest.mark.parametrize("per_batch", [True, False])
def test_a_draw_is_for_the_batch_or_for_each_image(per_batch: bool) -> None:
    images = pictures(1).expand(6, -1, -1, -1)
    for seen in views(images, RECIPE, generator(3), per_batch=per_batch):
        same = [torch.equal(seen[0], each) for each in seen[1:]]
        assert all(same) if per_batch else not any(same)


@pytest.mark.parametrize("per_batch", [True, False])
def test_the_gradient_is_that_of_finite_differences(per_batch: bool) -> None:
    recipe: SslRecipe = replace(RECIPE, size=8)
    images = pictures(6, side=10, low=70, high=160).float().requires_grad_()
    weights = torch.randn(2, 6, 3, 8, 8, generator=generator(1))

    def value(x: Tensor) -> Tensor:
        pair = torch.stack(views(x, recipe, generator(4), per_batch=per_batch))
        return (pair.double() * weights).sum(dim=(0, 2, 3, 4))

    (slope,) = torch.autograd.grad(value(images).sum(), images)
    direction = torch.randn(images.shape, generator=generator(2))
    reach = 0.02
    with torch.no_grad():
        apart = value(images + reach * direction) - value(images - reach * direction)
    expected = apart / (2 * reach)
    found = (slope.double() * direction).sum(dim=(1, 2, 3))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
