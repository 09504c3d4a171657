"""Filters against their definitions and against Pillow."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from tests.countermeasures.small import photos
from ue_cli.countermeasures.filters import BitDepth, Blur, Grayscale, HighPass, Resize
from ue_cli.countermeasures.jpeg import Jpeg

IMAGES, _ = photos(4, height=32, width=24)


def pictures() -> list[Image.Image]:
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in IMAGES]


def stacked(images: list[Image.Image]) -> Tensor:
    return torch.stack([torch.from_numpy(np.array(one)).permute(2, 0, 1) for one in images])


def distance(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference in levels."""
    return float((a.float() - b.float()).abs().mean())


def test_gray_has_three_equal_channels_as_pillow_weighs_them() -> None:
    gray = Grayscale().test(IMAGES)
    assert torch.equal(gray[:, 0], gray[:, 1]) and torch.equal(gray[:, 0], gray[:, 2])
    expected = stacked([one.convert("L").convert("RGB") for one in pictures()])
    assert (gray.int() - expected.int()).abs().max() <= 1


def test_jpeg_is_pillows_and_gets_worse_with_lower_quality() -> None:
    smooth = Blur(sigma=1.5).test(IMAGES)
    far, near = (distance(Jpeg(quality=q).test(smooth), smooth) for q in (10, 95))
    assert far > 6 and near < 3
    files = [BytesIO() for _ in pictures()]
    for one, file in zip(pictures(), files, strict=True):
        one.save(file, "JPEG", quality=50, subsampling=2)
    assert torch.equal(Jpeg(quality=50).test(IMAGES), stacked([Image.open(f) for f in files]))


def test_two_bits_leave_four_values_each_the_nearest() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    out = BitDepth(bits=2).test(ramp)
    assert sorted(set(out.flatten().tolist())) == [0, 85, 170, 255]
    assert (out.int() - ramp.int()).abs().max() == 42


def test_the_blur_is_pillows_gaussian() -> None:
    blurred = Blur(sigma=1.0).test(IMAGES)
    expected = stacked([one.filter(ImageFilter.GaussianBlur(1.0)) for one in pictures()])
    assert distance(blurred[:, :, 4:-4, 4:-4], expected[:, :, 4:-4, 4:-4]) < 1.0
    assert distance(blurred, IMAGES) > 5


def test_resizing_is_pillows_there_and_back() -> None:
    expected = [one.resize((12, 16), Image.Resampling.BICUBIC) for one in pictures()]
    expected = [one.resize((24, 32), Image.Resampling.BICUBIC) for one in expected]
    assert (Resize(factor=0.5).test(IMAGES).int() - stacked(expected).int()).abs().max() <= 3


@pytest.mark.parametrize("share", [1 / 8, 1 / 4])
def test_the_high_pass_takes_slow_changes_and_keeps_edges(share: float) -> None:
    slow = torch.linspace(20, 230, 32).round().to(torch.uint8).expand(1, 3, 32, 32)
    kept = HighPass(share=share).test(slow).int()
    assert (kept[..., 5:-5] - 128).abs().max() <= 1
    edge = torch.full((1, 3, 32, 32), 100, dtype=torch.uint8)
    edge[..., 16:] = 140
    across = HighPass(share=share).test(edge)[0, 0, 8].int()
    assert across[15] - 128 < -10 and across[16] - 128 > 10
    assert across[2] == across[29] == 128
