from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ue_cli.report import make_flat_crop, make_thumbnail
from ue_cli.types import PixelArray


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(data)))


def pair(shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    original = rng.integers(16, 240, shape, dtype=np.uint8)
    return original, (original + rng.integers(-7, 8, shape)).astype(np.uint8)


def test_a_flat_crop_is_lossless_and_one_to_one() -> None:
    original, protected = pair((90, 120, 3))
    made = make_flat_crop(original, protected, (40, 50), size=32)
    window = np.s_[24:56, 34:66]
    np.testing.assert_array_equal(pixels(made.before), original[window])
    np.testing.assert_array_equal(pixels(made.after), protected[window])
    difference = protected[window].astype(int) - original[window]
    np.testing.assert_array_equal(pixels(made.difference), 128 + 16 * difference)
    assert (made.width, made.height) == (32, 32)


@pytest.mark.parametrize("at", [(0, 0), (89, 119), (0, 119)])
def test_a_flat_crop_stays_inside_the_photo(at: tuple[int, int]) -> None:
    original, protected = pair((90, 120, 3))
    made = make_flat_crop(original, protected, at, size=64)
    assert pixels(made.before).shape == (64, 64, 3)
    small = make_flat_crop(original[:5, :7], protected[:5, :7], (2, 3), size=64)
    assert (small.width, small.height) == (7, 5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright_as_viewers_show_them(orientation: int) -> None:
    original, protected = pair((20, 30, 3))
    file = Image.fromarray(original)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    file.save(buffer, "PNG", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    made = make_flat_crop(original, protected, (10, 15), size=64, orientation=orientation)
    np.testing.assert_array_equal(pixels(made.before), shown)
    assert (made.height, made.width) == shown.shape[:2]
    thumbnail = make_thumbnail(original, protected, orientation=orientation)
    assert (thumbnail.height, thumbnail.width) == shown.shape[:2]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_every_layout_and_depth_gives_pictures(depth: type, channels: int | None) -> None:
    shape = (40, 50) if channels is None else (40, 50, channels)
    before, after = pair(shape)
    scale = 1 if depth is np.uint8 else 257
    original: PixelArray = np.asarray(before.astype(depth) * scale)
    protected: PixelArray = np.asarray(after.astype(depth) * scale)
    for made in (
        make_thumbnail(original, protected),
        make_flat_crop(original, protected, (20, 25)),
    ):
        colours = 3 if channels in (3, 4) else 1
        for data in (made.before, made.after, made.difference):
            assert len(Image.open(BytesIO(data)).getbands()) == colours
    crop = pixels(make_flat_crop(original, protected, (20, 25)).difference)
    difference = after.astype(int) - before
    if channels is None:
        np.testing.assert_array_equal(crop, 128 + 16 * difference)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5000), (5000, 1, 3), (2311, 1733, 3)])
def test_a_thumbnail_keeps_the_shape_and_fits(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 100, np.uint8)
    made = make_thumbnail(image, np.asarray(image + 4, np.uint8), size=200)
    assert max(made.width, made.height) == min(200, max(shape[:2]))
    shrunk = max(1, max(shape[:2]) / 200)
    assert made.height == pytest.approx(max(1, shape[0] / shrunk), abs=1)
    assert made.width == pytest.approx(max(1, shape[1] / shrunk), abs=1)
    assert np.abs(pixels(made.before).astype(int) - 100).max() <= 1
    assert np.abs(pixels(made.difference).astype(int) - 192).max() <= 1


def test_a_strong_difference_is_clipped_not_wrapped() -> None:
    low, high = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert pixels(make_flat_crop(low, high, (8, 8)).difference).min() == 255
    assert pixels(make_flat_crop(high, low, (8, 8)).difference).max() == 0
