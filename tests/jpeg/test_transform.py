"""A field's own coefficients: it arrives, the budget holds, and no block stands out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ue_cli.banks.apply import GrayField
from ue_cli.banks.layout import oriented
from ue_cli.certificates.budget import measure
from ue_cli.jpeg.coefficients import JpegResult, protect_jpeg
from ue_cli.jpeg.comparison import carried
from ue_cli.jpeg.quantised import read_coefficients
from ue_cli.jpeg.tiling import grid_of
from ue_cli.jpeg.transform import CEILING, transform
from ue_cli.textures.phases import keyed_phasors
from ue_cli.textures.texture import TextureField, TextureRecipe, draw_code
from ue_cli.textures.visibility import bounded, small_copy
from ue_cli.textures.vision import scene
from ue_cli.types import STANDARD, Budget, Field

BUDGET = Budget(8)
HEIGHT, WIDTH = 240, 320


def decode(data: bytes) -> NDArray[np.uint8]:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def photo(
    sampling: str = "4:2:0", quality: int = 92, height: int = HEIGHT, width: int = WIDTH
) -> bytes:
    """Smooth and busy areas of everyday colours."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(70, 190, (7, 9, 3), dtype=np.uint8)
    image = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), int)
    image[:, width // 2 :] += rng.integers(-25, 26, (height, width - width // 2, 1))
    out = io.BytesIO()
    made = Image.fromarray(image.clip(0, 255).astype(np.uint8))
    if sampling == "gray":
        made.convert("L").save(out, "JPEG", quality=quality)
    else:
        made.save(out, "JPEG", quality=quality, subsampling=sampling)
    return out.getvalue()


def texture(cycles: float, height: int = HEIGHT, width: int = WIDTH) -> TextureField:
    code = draw_code(b"class", TextureRecipe(low=cycles, high=cycles, gain=3))
    return TextureField(code, keyed_phasors(b"photo", code), height, width)


def meant(data: bytes, cycles: float) -> Field:
    """What the standard look leaves of a texture on a file."""
    pixels = decode(data)
    size = pixels.shape[0], pixels.shape[1]
    picture = scene(small_copy(pixels), *size)
    whole: Field = texture(cycles, *size).softened()
    if pixels.shape[2] == 1:
        whole = GrayField(whole)
    field = bounded(whole, picture, size, BUDGET, STANDARD, ceiling=CEILING)
    return oriented(field, 1, *size)


def written(data: bytes, field: Field, *, fill: bool = False) -> JpegResult:
    return protect_jpeg(
        data, decode(data), field, BUDGET, fill=fill, decode=decode, measure=measure
    )


@pytest.mark.parametrize(
    ("sampling", "cycles", "least"),
    [
        ("4:2:0", 8.0, 0.8),
        ("4:2:0", 16.0, 0.6),
        ("4:2:2", 16.0, 0.6),
        ("4:4:4", 16.0, 0.7),
        ("4:4:4", 32.0, 0.5),
        ("gray", 16.0, 0.8),
        ("gray", 32.0, 0.8),
    ],
)
def test_what_was_meant_arrives_within_the_budget(
    sampling: str, cycles: float, least: float
) -> None:
    data = photo(sampling)
    field = meant(data, cycles)
    result = written(data, field)
    share, _ = carried(field, field, field, decode(data), result.pixels, BUDGET)
    assert 0 < result.difference.linf <= 8
    assert least < share < 1.2


def edges(before: NDArray[np.uint8], after: NDArray[np.uint8], side: int) -> float:
    """Steps of δ from pixel to pixel where blocks meet, over those within them."""
    delta = (after.astype(float) - before).reshape(*before.shape[:2], -1)
    borders, inside = list[float](), list[float]()
    for axis in (0, 1):
        steps = np.abs(np.diff(delta, axis=axis)).mean(axis=(1 - axis, 2))
        border = np.arange(len(steps)) % side == side - 1
        borders.append(float(steps[border].mean()))
        inside.append(float(steps[~border].mean()))
    return sum(borders) / sum(inside)


@pytest.mark.parametrize("cycles", [8.0, 16.0])
def test_blocks_are_hardly_seen(cycles: float) -> None:
    """Rounding to the file's steps leaves some of them; a wave alone would have 1.0."""
    data = photo()
    result = written(data, meant(data, cycles))
    assert edges(decode(data), result.pixels, 8) < 1.5
    assert edges(decode(data), result.pixels, 16) < 1.75


@pytest.mark.parametrize("sampling", ["4:2:0", "4:4:4"])
def test_long_waves_have_fewer_edges_than_constant_steps(sampling: str) -> None:
    data = photo(sampling)
    field = meant(data, 4.0)
    smooth, steps = (
        edges(decode(data), written(data, field, fill=fill).pixels, 8) for fill in (False, True)
    )
    assert smooth - 1 < 0.7 * (steps - 1)


def test_a_tile_is_asked_for_less_alone() -> None:
    coefficients = read_coefficients(photo())
    grid = grid_of(coefficients)
    asked = transform(texture(16.0), coefficients, grid, 8)
    before = asked.deltas()
    worst = np.zeros((grid.ty, grid.tx), np.float32)
    worst[3, 5] = 16
    for _ in range(2):  # the luma that balances its chroma goes first
        asked.shrink(worst, 8)
    less = asked.deltas()
    asked.shrink(worst, 8, give_up=True)
    none = asked.deltas()
    for index, (first, second, third) in enumerate(zip(before, less, none, strict=True)):
        fy, fx = (grid.fy, grid.fx) if index == 0 else (1, 1)
        tile = np.zeros(first.shape[:2], bool)
        tile[3 * fy : 4 * fy, 5 * fx : 6 * fx] = True
        assert np.array_equal(first[~tile], second[~tile])
        assert np.array_equal(first[~tile], third[~tile])
        assert not third[tile].any()
        if index:
            assert 0 < np.abs(second[tile]).sum() < np.abs(first[tile]).sum()
