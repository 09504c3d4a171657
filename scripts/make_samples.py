"""Paint the dozen sample pictures in tests/sample-photos (our own work, CC0; no downloads).

    python scripts/make_samples.py

Each is a procedural scene at 1,200 x 800: four classes of three, JPEG 4:2:0 as a camera writes it,
one with an EXIF orientation and an embedded thumbnail, one PNG. Same seeds, same pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Canvas = NDArray[np.float64]
HEIGHT, WIDTH = 800, 1200
TARGET = Path(__file__).resolve().parent.parent / "tests" / "sample-photos"


def fractal(rng: np.random.Generator, height: int, width: int, roughness: float = 0.55) -> Canvas:
    """Value noise over octaves, in [0, 1]."""
    total = np.zeros((height, width))
    weight, cells = 1.0, 3
    while cells < min(height, width) // 3:
        grid = rng.random((cells, cells * width // height + 1))
        image = Image.fromarray((grid * 255).astype(np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        total += weight * np.asarray(image) / 255
        weight, cells = weight * roughness, cells * 2
    total -= total.min()
    scaled: Canvas = total / total.max()
    return scaled


def blend(top: tuple[float, ...], bottom: tuple[float, ...], amount: Canvas) -> Canvas:
    """Mix two colours by ``amount`` in [0, 1], (h, w) -> (h, w, 3)."""
    mix = amount[..., None]
    return np.array(top) * (1 - mix) + np.array(bottom) * mix


def sky(rng: np.random.Generator) -> Canvas:
    """Clouds over a graded sky."""
    height = np.linspace(0, 1, HEIGHT)[:, None] * np.ones((1, WIDTH))
    hue = rng.random()
    canvas = blend((40 + 60 * hue, 90, 170 - 40 * hue), (190, 200 - 20 * hue, 215), height)
    clouds = np.clip(fractal(rng, HEIGHT, WIDTH) * 2.4 - 1.1, 0, 1)
    return canvas * (1 - clouds[..., None]) + np.array([246, 243, 238]) * clouds[..., None]


def hills(rng: np.random.Generator) -> Canvas:
    """Ridge behind ridge, paler with distance, textured with grass."""
    canvas = sky(rng)
    rows = np.arange(HEIGHT)[:, None]
    for layer in range(5):
        ridge = np.cumsum(rng.standard_normal(WIDTH))
        ridge = np.convolve(np.pad(ridge, 40, mode="edge"), np.ones(81) / 81, "valid")
        ridge = 330 + 95 * layer + 4.0 * (ridge - ridge.mean())
        near = layer / 4
        grain = fractal(rng, HEIGHT, WIDTH, 0.8)
        colour = blend((150 - 90 * near, 170 - 70 * near, 175 - 130 * near), (35, 60, 25), grain)
        inside = np.clip((rows - ridge) / 2, 0, 1)[..., None]
        canvas = canvas * (1 - inside) + colour * inside
    return canvas


def blossoms(rng: np.random.Generator) -> Canvas:
    """Petalled flowers over blurred leaves."""
    canvas = blend((28, 52, 20), (120, 150, 70), fractal(rng, HEIGHT, WIDTH, 0.7))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for _ in range(26):
        cy, cx, size = rng.random() * HEIGHT, rng.random() * WIDTH, 30 + 90 * rng.random()
        angle, radius = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx) / size
        petals = int(rng.integers(5, 9))
        shape = 0.72 + 0.28 * np.cos(petals * angle + 6 * rng.random())
        inside = np.clip((shape - radius) * size / 2, 0, 1)[..., None]
        tone = np.array([[235, 90, 120], [250, 205, 70], [225, 225, 240], [170, 90, 200]])
        colour = tone[rng.integers(4)] * (0.55 + 0.45 * np.clip(radius, 0, 1))[..., None]
        canvas = canvas * (1 - inside) + colour * inside
        heart = np.clip((0.2 - radius) * size / 2, 0, 1)[..., None]
        canvas = canvas * (1 - heart) + np.array([120, 80, 20]) * heart
    return canvas


def towers(rng: np.random.Generator) -> Canvas:
    """A skyline with lit windows."""
    canvas = sky(rng) * 0.8
    left = 0
    while left < WIDTH:
        width, top = int(rng.integers(50, 130)), int(rng.integers(120, 560))
        right = min(left + width, WIDTH)
        shade = 45 + 90 * rng.random()
        wall = shade * np.array([1.0, 0.95, 0.9]) + 12 * fractal(rng, HEIGHT, 160)[:, :1, None]
        canvas[top:, left:right] = np.broadcast_to(wall[top:], (HEIGHT - top, right - left, 3))
        for row in range(top + 12, HEIGHT - 12, 22):
            for column in range(left + 8, right - 14, 18):
                lit = rng.random() < 0.4
                canvas[row : row + 12, column : column + 9] = (
                    (250, 222, 150) if lit else (40, 48, 60)
                )
        left = right + int(rng.integers(0, 16))
    return canvas


def encode(canvas: Canvas, rng: np.random.Generator, *, turned: bool) -> bytes:
    """A camera's JPEG: sensor noise, 4:2:0, and (``turned``) orientation 6 with a thumbnail."""
    noisy = canvas + 2.2 * rng.standard_normal(canvas.shape)
    image = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "ue", "procedural"
    if turned:
        exif[0x0112] = 6
        image = image.transpose(Image.Transpose.ROTATE_90)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88, subsampling="4:2:0", exif=exif)
    return out.getvalue()


def main() -> None:
    """Write all twelve."""
    painters: dict[str, Callable[[np.random.Generator], Canvas]] = {
        "blossoms": blossoms,
        "hills": hills,
        "skies": sky,
        "towers": towers,
    }
    for number, (label, paint) in enumerate(painters.items()):
        (TARGET / label).mkdir(parents=True, exist_ok=True)
        for index in range(3):
            rng = np.random.default_rng(100 * number + index)
            canvas = paint(rng)
            path = TARGET / label / f"{label}-{index + 1}.jpg"
            if (label, index) == ("skies", 2):
                small = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8)).resize((300, 200))
                small.save(path.with_suffix(".png"), optimize=True)
            else:
                path.write_bytes(encode(canvas, rng, turned=(label, index) == ("hills", 1)))


if __name__ == "__main__":
    main()
