"""The budget holds on decoded pixels, and the target arrives."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.textures.fields import Sampled
from ue_cli.certificates.budget import measure
from ue_cli.jpeg import coefficients as module
from ue_cli.jpeg.coefficients import protect_jpeg
from ue_cli.jpeg.comparison import carried, worst_channel
from ue_cli.jpeg.deltas import Deltas
from ue_cli.jpeg.quantised import NotInCoefficientDomain, read_coefficients
from ue_cli.types import Budget, Difference, FloatArray


@dataclass(frozen=True)
class Waves(Sampled):
    """Hard-edged colour waves of a wavelength in pixels."""

    wavelength: float
    gain: float = 8.0
    short: int = 1

    @property
    def cycles(self) -> float:  # type: ignore[override]
        return 1.1 * self.short / self.wavelength

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        turn = 2 * np.pi / self.wavelength
        angles = [(0.8, 0.6, 0.3), (-0.5, 0.9, 1.0), (0.3, 1.0, 2.0)]
        planes = [np.sin(turn * (a * y[:, None] + b * x[None]) + phase) for a, b, phase in angles]
        return np.clip(self.gain * np.stack(planes, axis=2), -1, 1).astype(np.float32)


def decode(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Smooth and noisy areas, saturated colours, clipped black and white."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 12), max(2, width // 12), 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    noisy = np.asarray(smooth).astype(int) + rng.integers(-20, 21, (height, width, 3))
    noisy[: height // 4, : width // 2] = 255
    noisy[height // 2 :, : width // 5] = 0
    noisy[height // 3 : height // 2, width // 2 :, 0] = 255
    return noisy.clip(0, 255).astype(np.uint8)


def jpeg(height: int, width: int, sampling: str = "4:2:0", seed: int = 0, **options: Any) -> bytes:
    image = Image.fromarray(picture(height, width, seed))
    buffer = io.BytesIO()
    if sampling == "gray":
        image.convert("L").save(buffer, "JPEG", **options)
    else:
        image.save(buffer, "JPEG", subsampling=sampling, **options)
    return buffer.getvalue()


def steps(before: bytes, after: bytes) -> list[NDArray[np.int16]]:
    """What was added to every coefficient, per component (rows, columns, 8, 8)."""
    planes = zip(read_coefficients(after).planes, read_coefficients(before).planes, strict=True)
    return [protected - original for protected, original in planes]


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    sampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "gray"]),
    quality=st.sampled_from([20, 75, 92, 100]),
    levels=st.sampled_from([1, 4, 8, 16]),
    wavelength=st.sampled_from([5.0, 30.0, 100.0]),
    variant=st.sampled_from(
        [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 2}]
    ),
    seed=st.integers(0, 1000),
    fill=st.booleans(),
)
def test_every_pixel_stays_in_budget(
    height: int,
    width: int,
    sampling: str,
    quality: int,
    levels: int,
    wavelength: float,
    variant: dict[str, Any],
    seed: int,
    fill: bool,
) -> None:
    data = jpeg(height, width, sampling, seed, quality=quality, **variant)
    before = decode(data)
    field = Waves(wavelength, short=min(height, width))
    result = protect_jpeg(
        data, before, field, Budget(levels), fill=fill, decode=decode, measure=measure
    )
    difference = np.abs(decode(result.data).astype(int) - before)
    assert difference.max() == result.difference.linf <= levels
    assert np.isclose(difference.mean(), result.difference.mean_abs)
    assert np.isclose((difference**2).mean(), result.difference.mse)
    original, protected = read_coefficients(data), read_coefficients(result.data)
    kept = [segment for segment in original.header if segment[0] not in (0xC4, 0xDD)]
    assert [segment for segment in protected.header if segment[0] != 0xC4] == kept


@pytest.mark.parametrize(("sampling", "least"), [("4:4:4", 5.0), ("4:2:0", 4.5), ("gray", 5.0)])
def test_long_waves_fill_the_ball_at_the_first_attempt(sampling: str, least: float) -> None:
    data = jpeg(660, 700, sampling, quality=92)
    before = decode(data)
    waves = Waves(130.0)
    attempts: list[bytes] = []

    def finish(written: bytes) -> bytes:
        attempts.append(written)
        return written

    result = protect_jpeg(
        data, before, waves, Budget(8), fill=True, decode=decode, measure=measure, finish=finish
    )
    assert len(attempts) == 1
    assert result.difference.linf <= 8
    assert result.difference.mean_abs > least
    assert len(result.data) < 1.06 * len(data)
    target = waves.sample(*(np.arange(n, dtype=np.float32) + 0.5 for n in before.shape[:2]))
    difference = decode(result.data).astype(float) - before
    if sampling == "gray":
        target = target.mean(2)
    assert (difference * target).sum() > 0.8 * np.abs(difference * target).sum()


@pytest.mark.parametrize("fill", [True, False])
def test_an_empty_field_leaves_every_pixel(fill: bool) -> None:
    class Nothing(Sampled):
        def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
            return np.zeros((len(y), len(x), 3), np.float32)

    data = jpeg(64, 80)
    result = protect_jpeg(
        data, decode(data), Nothing(), Budget(8), fill=fill, decode=decode, measure=measure
    )
    assert result.difference.linf == 0


def test_offenders_are_stepped_back_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(330, 340, "4:4:4", quality=95)
    before = decode(data)
    honest = module.embed(read_coefficients(data), before, Waves(30.0), Budget(8), decode=decode)

    def reckless(*_: object, **__: object) -> Deltas:
        steps = tuple(delta.copy() for delta in honest)
        steps[0][30, 30] += 40
        return steps

    monkeypatch.setattr(module, "embed", reckless)
    tries: list[int] = []

    def measured(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Difference:
        difference = measure(before, after)
        tries.append(difference.linf)
        return difference

    result = protect_jpeg(
        data, before, Waves(30.0), Budget(8), fill=True, decode=decode, measure=measured
    )
    assert result.difference.linf <= 8 < tries[0]
    mask = np.ones_like(honest[0], bool)
    mask[30, 30] = False
    side = honest[0].shape[3]
    assert np.array_equal(steps(data, result.data)[0][:, :, :side, :side][mask], honest[0][mask])


def returned(pixels: NDArray[np.uint8], data: bytes) -> NDArray[np.uint8]:
    """A decoder that does not look."""
    return pixels


@pytest.mark.parametrize("fill", [True, False])
def test_a_decoder_that_never_agrees_is_an_error(fill: bool) -> None:
    data = jpeg(40, 40)
    before = decode(data)
    field = Waves(30.0, short=40)
    for wrong in (255 - before, before[1:]):
        decoder = partial(returned, wrong)
        with pytest.raises(NotInCoefficientDomain):
            protect_jpeg(data, before, field, Budget(8), fill=fill, decode=decoder, measure=measure)


def test_what_finish_returns_is_what_is_decoded_and_returned() -> None:
    data = jpeg(40, 40)
    seen: list[bytes] = []

    def watch(written: bytes) -> NDArray[np.uint8]:
        seen.append(written)
        return decode(written)

    result = protect_jpeg(
        data,
        decode(data),
        Waves(30.0),
        Budget(8),
        fill=True,
        decode=watch,
        measure=measure,
        finish=lambda written: written + b"end",
    )
    assert result.data.endswith(b"end")
    assert seen[-1] == result.data


def test_the_worst_channel_counts_large_differences() -> None:
    a = np.zeros((200, 3, 3), np.uint8)
    b = a.copy()
    b[150, 1, 2] = 200
    worst = worst_channel(a, b)
    assert worst.shape == (200, 3)
    assert int(worst.max()) == 200
    assert int(worst.argmax()) == 150 * 3 + 1
    assert np.array_equal(worst, worst_channel(b, a))


@pytest.mark.parametrize(("sampling", "least"), [("4:4:4", 0.3), ("4:2:0", 0.25), ("gray", 0.15)])
def test_waves_shorter_than_blocks_arrive_too(sampling: str, least: float) -> None:
    data = jpeg(200, 260, sampling, quality=92)
    before, waves = decode(data), Waves(17.0)
    result = protect_jpeg(data, before, waves, Budget(8), fill=True, decode=decode, measure=measure)
    assert result.difference.linf <= 8
    shape = (*before.shape[:2], -1)
    share, strength = carried(
        waves, waves, waves, before.reshape(shape), result.pixels.reshape(shape), Budget(8)
    )
    assert share == strength > least
    assert any(plane[:, :, :, 1:].any() for plane in steps(data, result.data))
