from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from ue_cli.training.augment import (
    random_resized_crop,
    random_shift,
    resample_matrix,
    shift_matrix,
    whole,
)


def pictures(count: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def in_levels(normalised: Tensor) -> Tensor:
    return normalised * 64 + 118


def test_the_whole_frame_is_resized_as_torchvision_does_it() -> None:
    images = pictures(3, 64)
    expected = reference.resize(images.float(), [48, 48], antialias=True)
    torch.testing.assert_close(in_levels(whole(images, 48)), expected, atol=0.01, rtol=0)


def test_the_whole_frame_at_its_own_size_is_itself() -> None:
    images = pictures(2, 32)
    torch.testing.assert_close(in_levels(whole(images, 32)), images.float(), atol=1e-3, rtol=0)


def test_a_mirrored_axis_is_the_reversed_axis() -> None:
    start, length = torch.tensor([3.25]), torch.tensor([17.5])
    straight = resample_matrix(start, length, torch.zeros(1), 32, 12)
    mirrored = resample_matrix(start, length, torch.ones(1), 32, 12)
    torch.testing.assert_close(mirrored, straight.flip(1))


@given(start=st.floats(0, 10), length=st.floats(1, 20), flip=st.booleans(), out=st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_resampling_keeps_a_constant(start: float, length: float, flip: bool, out: int) -> None:
    weights = resample_matrix(
        torch.tensor([start]), torch.tensor([length]), torch.tensor([float(flip)]), 30, out
    )
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(1, out))


def test_a_shift_moves_by_whole_pixels_and_pads_with_black() -> None:
    axis = torch.arange(1.0, 6.0)
    moved = shift_matrix(torch.tensor([2]), torch.zeros(1), 5)[0] @ axis
    assert moved.tolist() == [3, 4, 5, 0, 0]
    both = shift_matrix(torch.tensor([1]), torch.ones(1), 5)[0] @ axis
    assert both.tolist() == [4, 3, 2, 1, 0]


def test_a_random_shift_only_moves_pixels() -> None:
    images = pictures(8, 16)
    out = in_levels(random_shift(images, 4, torch.Generator().manual_seed(1))).round()
    assert out.shape == images.shape
    for before, after in zip(images, out, strict=True):
        kept = set(after.flatten().tolist()) - {0.0}
        assert kept <= set(before.flatten().float().tolist())


def test_draws_depend_on_the_generator_alone() -> None:
    images = pictures(4, 20)
    first, again, other = (
        random_resized_crop(images, 12, 0.35, torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (4, 3, 12, 12)


def test_a_full_crop_is_the_whole_frame_or_its_mirror() -> None:
    images = pictures(1, 24).expand(16, -1, -1, -1)
    ramp = torch.arange(24, dtype=torch.uint8).expand(16, 3, 24, 24)
    crops = random_resized_crop(ramp, 24, 1.0, torch.Generator().manual_seed(0))
    slopes = in_levels(crops)[:, 0, 12].diff(dim=1).mean(dim=1)
    assert bool((slopes > 0).any()) and bool((slopes < 0).any())
    assert in_levels(random_resized_crop(images, 24, 1.0, torch.Generator())).max() <= 255.001
