from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ue_cli.certificates.colour import ciede2000, srgb_to_lab
from ue_cli.certificates.fidelity import fidelity, ssim, summarise
from ue_cli.errors import UeError
from ue_cli.types import PixelArray

# Table 1 of Sharma, Wu and Dalal (2005): L1 a1 b1 L2 a2 b2 ΔE00. Pair 14 (50 −0.001 2.49 against
# 50 0.001 −2.49) sits on the formula's discontinuity, where rounding decides, and is left out.
SHARMA = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.49 -0.001 50 -2.49 0.0009 7.1792
50 2.49 -0.001 50 -2.49 0.0010 7.1792
50 2.49 -0.001 50 -2.49 0.0011 7.2195
50 2.49 -0.001 50 -2.49 0.0012 7.2195
50 -0.001 2.49 50 0.0009 -2.49 4.8045
50 -0.001 2.49 50 0.0011 -2.49 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1.0000
50 2.5 0 50 3.2972 0 1.0000
50 2.5 0 50 1.8634 0.5757 1.0000
50 2.5 0 50 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_ciede2000_gives_the_published_differences_both_ways() -> None:
    table = np.array(SHARMA.split(), float).reshape(-1, 7)
    assert len(table) == 33
    np.testing.assert_allclose(ciede2000(table[:, :3], table[:, 3:6]), table[:, 6], atol=6e-5)
    np.testing.assert_allclose(ciede2000(table[:, 3:6], table[:, :3]), table[:, 6], atol=6e-5)


def test_srgb_primaries_have_their_lab_values() -> None:
    rgb = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    white_black_red_green_blue = """
        100 0 0  0 0 0  53.24 80.09 67.20  87.73 -86.18 83.18  32.3 79.19 -107.86
    """
    lab = np.array(white_black_red_green_blue.split(), float).reshape(5, 3)
    np.testing.assert_allclose(srgb_to_lab(rgb), lab, atol=0.02)


def slow_ssim(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The paper's formula, window by window."""
    at = np.arange(11) - 5
    weight = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (weight * a).sum(), (weight * b).sum()
            va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
            cov = (weight * (a - ma) * (b - mb)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(11, 11), (12, 30), (47, 23), (75, 40)])
@pytest.mark.parametrize("mean", [3, 128, 250])
def test_ssim_equals_a_window_by_window_loop(shape: tuple[int, int], mean: int) -> None:
    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(mean, 6, shape), 0, 255)
    y = np.clip(x + rng.uniform(-8, 8, shape), 0, 255)
    assert ssim(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(
        slow_ssim(x, y), abs=2e-5
    )


def test_psnr_and_ssim_of_a_colour_photo_follow_their_definitions() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-8, 9, a.shape), 0, 255).astype(np.uint8)
    found = fidelity(a, b)
    mse = ((a.astype(float) - b) ** 2).mean()
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / mse))
    weights = np.array([0.299, 0.587, 0.114])
    assert found.ssim == pytest.approx(slow_ssim(a @ weights, b @ weights), abs=2e-5)
    delta = ciede2000(srgb_to_lab(a / 255), srgb_to_lab(b / 255))
    assert found.delta_e_median == pytest.approx(np.median(delta))
    assert found.delta_e_p95 == pytest.approx(np.percentile(delta, 95))
    assert found.flat_delta_e_median is None
    assert found.flat_fraction == 0


def test_equal_images_are_perfect() -> None:
    image = np.full((64, 64, 3), 100, np.uint8)
    found = fidelity(image, image)
    assert found.psnr is None
    assert found.ssim == pytest.approx(1)
    assert (found.delta_e_median, found.delta_e_p95) == (0, 0)
    assert (found.flat_delta_e_median, found.flat_fraction) == (0, 1)


def test_gray_and_alpha_and_sixteen_bits_give_the_numbers_of_plain_rgb() -> None:
    rng = np.random.default_rng(2)
    gray = rng.integers(20, 230, (70, 60), dtype=np.uint8)
    moved = (gray + rng.integers(-8, 9, gray.shape)).astype(np.uint8)
    a, b = np.repeat(gray[..., None], 3, 2), np.repeat(moved[..., None], 3, 2)
    alpha = rng.integers(0, 256, (70, 60, 1), dtype=np.uint8)
    expected = fidelity(a, b)
    pairs: list[tuple[PixelArray, PixelArray]] = [
        (gray, moved),
        (gray[..., None], moved[..., None]),
        (np.dstack([gray, alpha]), np.dstack([moved, alpha])),
        (np.dstack([a, alpha]), np.dstack([b, alpha])),
        (a.astype(np.uint16) * 257, b.astype(np.uint16) * 257),
    ]
    for before, after in pairs:
        found = fidelity(before, after)
        assert found.psnr == pytest.approx(expected.psnr, rel=1e-5)
        assert found.ssim == pytest.approx(expected.ssim, rel=1e-4)
        assert found.delta_e_p95 == pytest.approx(expected.delta_e_p95, rel=1e-6)


def test_flat_areas_are_found_and_judged_apart() -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, (512, 768, 3), dtype=np.uint8)
    a[128:320, 256:512] = 120
    a[400:, :200] = 255  # flat too, but clipped: no good place to judge
    b = a.copy()
    b[128:320, 256:512, 2] += 8
    found = fidelity(a, b)
    assert found.delta_e_median == 0
    assert found.flat_delta_e_p95 is not None and found.flat_delta_e_p95 > 2
    assert 0 < found.flat_fraction < 0.3
    row, column = found.flattest
    assert 192 <= row <= 256 and 320 <= column <= 448


def test_a_large_photo_is_judged_on_its_centre_and_the_same_way_every_time() -> None:
    rng = np.random.default_rng(4)
    a = np.full((900, 1600, 3), 128, np.uint8)
    b = (a + rng.integers(-4, 5, a.shape)).astype(np.uint8)
    b[:100] = 255
    first = fidelity(a, b, max_pixels=90_000)
    assert first == fidelity(a, b, max_pixels=90_000)
    assert first.psnr is not None and first.psnr > 35
    assert abs(first.flattest[0] - 450) < 150 and abs(first.flattest[1] - 800) < 150


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30), (30, 2, 3), (10, 10, 3), (11, 500, 3)])
def test_tiny_images_are_measured_too(shape: tuple[int, ...]) -> None:
    a = np.full(shape, 90, np.uint8)
    b = np.full(shape, 98, np.uint8)
    found = fidelity(a, b)
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / 64))
    assert 0.9 < found.ssim < 1
    assert 0 <= found.flattest[0] < shape[0] and 0 <= found.flattest[1] < shape[1]


def test_what_is_no_image_is_refused() -> None:
    cube = np.zeros((4, 4, 7), np.uint8)
    with pytest.raises(UeError, match="got \\(4, 4, 7\\)"):
        fidelity(cube, cube)


def test_the_summary_holds_medians_and_worst_values() -> None:
    rng = np.random.default_rng(5)
    photos = []
    for strength in (1, 4, 8):
        a = rng.integers(20, 230, (64, 64, 3), dtype=np.uint8)
        photos.append(fidelity(a, (a + strength).astype(np.uint8)))
    found = summarise(photos, total=10)
    assert (found.measured, found.total) == (3, 10)
    assert found.median.psnr == photos[1].psnr
    assert (found.worst.psnr, found.worst.ssim) == (photos[2].psnr, min(p.ssim for p in photos))
    assert found.worst.flat_delta_e_p95 is None
    with pytest.raises(UeError):
        summarise([], total=3)
