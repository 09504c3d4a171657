"""Copies of a photo form a group; different photos do not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from ue_cli.images.phash import NEAR, group_near, perceptual_hashes
from ue_cli.images.square import read_frame, read_square

SIDE = 32
SAMPLES = sorted((Path(__file__).parents[1] / "sample-photos").rglob("*.*"))


def shrink(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def recompress(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def shift(image: Image.Image) -> Image.Image:
    return image.crop((image.width // 50, image.height // 50, image.width, image.height))


def brighten(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.2)


def hashed(images: list[Image.Image]) -> NDArray[np.uint64]:
    small = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "PPM")
        frame = Image.fromarray(read_frame(buffer.getvalue(), SIDE))
        small.append(np.asarray(frame.convert("L")))
    return perceptual_hashes(np.stack(small))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    images = [Image.fromarray(read_square(path, 400)) for path in SAMPLES]
    return [image.crop((0, 40, 400, 360)) for image in images]


def test_different_photos_stay_apart(photos: list[Image.Image]) -> None:
    assert len(photos) == 12
    assert group_near(hashed(photos)).tolist() == list(range(12))


@pytest.mark.parametrize("change", [shrink, recompress, shift, brighten])
def test_a_changed_copy_joins_its_photo(photos: list[Image.Image], change: object) -> None:
    assert callable(change)
    copies = [change(photo) for photo in photos]
    assert group_near(hashed(photos + copies)).tolist() == [*range(12), *range(12)]


def test_groups_are_the_components_of_nearness() -> None:
    """Against every pair compared one by one."""
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, 2**64, 60, dtype=np.uint64)
    chain = [seeds[0]]
    for bit in range(0, 60, NEAR):
        chain.append(chain[-1] ^ np.uint64(((1 << NEAR) - 1) << bit))
    far = seeds[1] ^ np.uint64((1 << (NEAR + 1)) - 1)
    flipped = [s ^ np.uint64(1 << int(rng.integers(64))) for s in seeds[20:40]]
    hashes = np.array([*seeds, *chain, far, *flipped, *seeds[:5]], np.uint64)
    rng.shuffle(hashes)
    names = list(range(len(hashes)))
    for i, a in enumerate(hashes):
        for j, b in enumerate(hashes[:i]):
            if (int(a) ^ int(b)).bit_count() <= NEAR:
                old, new = names[i], names[j]
                names = [new if name == old else name for name in names]
    order = {name: rank for rank, name in enumerate(dict.fromkeys(names))}
    assert group_near(hashes).tolist() == [order[name] for name in names]


def test_thousands_of_hashes_and_copies_are_grouped() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**64, 10_000, dtype=np.uint64)
    groups = group_near(np.concatenate([hashes, hashes ^ np.uint64(0b1011)]))
    assert len(set(groups.tolist())) == 10_000
    assert np.array_equal(groups[:10_000], groups[10_000:])


def test_nothing_one_and_plain_pictures() -> None:
    assert group_near(np.zeros(0, np.uint64)).tolist() == []
    assert group_near(np.array([7], np.uint64)).tolist() == [0]
    plain = np.stack([np.full((SIDE, SIDE), level, np.uint8) for level in (0, 90, 255)])
    assert perceptual_hashes(plain).tolist() == [0, 0, 0]
