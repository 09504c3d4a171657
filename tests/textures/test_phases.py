"""Where a photo puts a texture's waves: in step with its own, and at the key's phase elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ue_cli.textures.phases import keyed_phasors, local_phasors
from ue_cli.textures.texture import TextureCode, TextureField
from ue_cli.textures.visibility import small_copy
from ue_cli.textures.vision import SIDE
from ue_cli.types import FloatArray

CODE = TextureCode(
    np.array([[5.0, 2.0], [-1.0, 6.5]]),
    np.array([0.8, -0.3, 1.0]),
    1.0,
)
BANDWIDTH = 0.25


def carrying(height: int, width: int, phases: tuple[float, float], size: float) -> FloatArray:
    """A gray picture with the code's waves of ``size`` levels in it."""
    y = (np.arange(height) + 0.5)[:, None, None] / min(height, width)
    x = (np.arange(width) + 0.5)[None, :, None] / min(height, width)
    picture = np.full((height, width, 3), 120.0)
    for (fy, fx), phase in zip(CODE.frequencies, phases, strict=True):
        picture += size * CODE.colour * np.cos(2 * np.pi * (fy * y + fx * x) + phase)
    return picture


@pytest.mark.parametrize("shape", [(64, 64), (64, 150), (97, 80)])
def test_waves_stand_where_the_photo_has_them(shape: tuple[int, int]) -> None:
    phases = (0.7, -2.1)
    found = local_phasors(b"seed", CODE, carrying(*shape, phases, 20), BANDWIDTH)
    assert np.allclose((np.abs(found) ** 2).mean(axis=0), 1, atol=1e-4)
    inner = found[:, 3:-3, 3:-3]
    for wave, phase in zip(inner, phases, strict=True):
        assert np.abs(np.angle(wave * np.exp(-1j * phase))).max() < 0.35


def test_in_step_they_add_up() -> None:
    """The point of it: more of the class's waves in the protected photo than the ball alone has."""
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(64, 64, 3))
    spectrum = np.fft.fft2(noise, axes=(0, 1))
    far = np.hypot(*np.meshgrid(np.fft.fftfreq(64) * 64, np.fft.fftfreq(64) * 64))[..., None]
    natural = np.fft.ifft2(spectrum / np.maximum(far, 1), axes=(0, 1)).real
    picture = (128 + 40 * natural / natural.std()).astype(np.float32)
    at = np.arange(64) + 0.5

    def strength(phasors: NDArray[np.complex128]) -> float:
        carried = picture + 8 * TextureField(CODE, phasors, 64, 64).sample(at, at)
        return float(np.abs(demodulated(carried)).mean())

    def demodulated(image: FloatArray) -> NDArray[np.complex128]:
        level = (image - image.mean(axis=(0, 1))) @ CODE.colour
        grid = np.exp(
            -2j * np.pi * (CODE.frequencies[:, 0, None, None] * at[:, None] / 64)
            - 2j * np.pi * (CODE.frequencies[:, 1, None, None] * at[None] / 64)
        )
        window = np.exp(-0.5 * ((np.arange(64) - np.arange(0, 64, 8)[:, None]) / 4.0) ** 2)
        window /= window.sum(axis=1, keepdims=True)
        found: NDArray[np.complex128] = window @ (level * grid) @ window.T
        return found

    in_step = strength(local_phasors(b"seed", CODE, picture, BANDWIDTH))
    keyed = [strength(keyed_phasors(bytes([k]), CODE)) for k in range(8)]
    assert in_step > 1.08 * max(keyed)


def test_a_photo_without_content_carries_the_keys_phases() -> None:
    flat = np.full((40, 60, 3), 77, np.float32)
    found = local_phasors(b"seed", CODE, flat, BANDWIDTH)
    assert np.allclose(found, np.broadcast_to(keyed_phasors(b"seed", CODE), found.shape), atol=1e-4)
    other = local_phasors(b"other", CODE, flat, BANDWIDTH)
    assert np.abs(found - other).mean() > 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_small_copy_is_the_displayed_photo(orientation: int) -> None:
    """Each orientation undone as viewers do it (EXIF 2.32, tag 0x0112)."""
    shown = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: shown.transpose(1, 0, 2)[::-1],
        7: shown.transpose(1, 0, 2)[::-1, ::-1],
        8: shown.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    assert np.array_equal(small_copy(np.ascontiguousarray(stored), orientation), shown)


def test_the_small_copy_of_any_depth() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (400, 600, 1), np.uint8)
    small = small_copy(pixels)
    assert small.shape == (SIDE, SIDE * 600 // 400, 3)
    assert small.dtype == np.uint8
    assert np.array_equal(small, small_copy(pixels.astype(np.uint16) * np.uint16(257)))
    assert abs(float(small.mean()) - float(pixels.mean())) < 0.6


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 48), (3, 5000), (60_000, 1)])
def test_any_shape_has_phases_and_no_shape_costs_memory(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
    found = local_phasors(b"seed", CODE, small_copy(pixels).astype(np.float64), BANDWIDTH)
    assert np.allclose((np.abs(found) ** 2).mean(axis=0), 1, atol=1e-3)
    assert found.size < 100_000
