"""Files of a fixed key, bit for bit: what a collection was given it will be given again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.jobs.conftest import run_here
from ue_cli.jpeg.quantised import read_coefficients
from ue_cli.owner.key import OwnerKey, install_key

EXPECTED: dict[str, str] = {
    "standard png": "a47c1fb9d56f51836436da10ea05905d118c7e1885761b3c58254f59b9e035c7",
    "standard jpeg": "83fc47a4906eba3763fe75b9a3b62f566c9ee16d46b565a060c03922d4a17c2d",
    "strong png": "0261a6fcac5333d4ce5a9f31146517e42c67b953d5477097801c992d70dc51e5",
    "strong jpeg": "c55eaab29058f12bbda9678bc14bc8b95cce7c3170cd27a80eed1019ec63401a",
}
"""SHA-256; where a preset or the search is changed on purpose, paste what the failing test says."""


def scenery(height: int, width: int) -> NDArray[np.uint8]:
    """Slopes, a grid, and a corner that looks like noise; of whole numbers alone."""
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    levels = np.stack([40 + (5 * x + 3 * y) % 160, 60 + (x * y // 97) % 140, 200 - (y + x) // 4], 2)
    levels[height // 2 :, width // 2 :] += (y * 7919 + x * 104_729 + x * y * 31)[
        height // 2 :, width // 2 :, None
    ] % 41 - 20
    return levels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("look", ["standard", "strong"])
def test_a_fixed_key_gives_fixed_files(tmp_path: Path, look: str) -> None:
    src, home = tmp_path / "src", tmp_path / "home"
    for name in ("png", "jpeg"):
        (src / name).mkdir(parents=True)
    image = Image.fromarray(scenery(240, 320))
    image.save(src / "png" / "0.png")
    image.save(src / "jpeg" / "0.jpg", quality=92, subsampling="4:2:0")
    install_key(home, OwnerKey(bytes(range(32))))
    done = run_here(home, "protect", src, "--look", look)
    assert done.all_written, done.out
    out = tmp_path / "src-protected"
    with Image.open(out / "png" / "0.png") as written:
        pixels = np.asarray(written).tobytes()
    planes = read_coefficients((out / "jpeg" / "0.jpg").read_bytes()).planes
    coefficients = b"".join(plane.astype("<i2").tobytes() for plane in planes)
    found = {
        f"{look} png": hashlib.sha256(pixels).hexdigest(),
        f"{look} jpeg": hashlib.sha256(coefficients).hexdigest(),
    }
    lines = "".join(f'    "{name}": "{digest}",\n' for name, digest in found.items())
    assert found.items() <= EXPECTED.items(), f"\nEXPECTED should have\n{lines}"
