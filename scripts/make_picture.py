"""Make README's picture: a photo before, after, and the difference ×16.

    python scripts/make_picture.py      # needs scikit-image, which ships the photo

The photo is ``chelsea`` by Stefan van der Walt (CC0), as a JPEG of quality 92; it is protected by
the default, JPEG to JPEG, under a key made for the picture.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from folders import protect_folder
from PIL import Image

TARGET = Path(__file__).resolve().parents[1] / "docs" / "before-after.jpg"
GAIN, GAP = 16, 8


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=TARGET)
    target = parser.parse_args().out
    import skimage

    photo = Path(skimage.__file__).parent / "data" / "chelsea.png"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photos" / "cats"
        source.mkdir(parents=True)
        Image.open(photo).convert("RGB").save(source / "chelsea.jpg", quality=92)
        copy = protect_folder(source.parent, Path(folder), "README")
        print(f"{copy.budget.jod_median:.2f} JOD predicted, L∞ {copy.budget.linf:g}")
        before, after = (
            np.asarray(Image.open(path).convert("RGB")).astype(np.int16)
            for path in (source / "chelsea.jpg", copy.out / "cats" / "chelsea.jpg")
        )
    difference = np.clip(128 + GAIN * (after - before), 0, 255)
    gap = np.full((before.shape[0], GAP, 3), 255)
    row = np.concatenate([before, gap, after, gap, difference], axis=1).astype(np.uint8)
    Image.fromarray(row).save(target, quality=92, subsampling=0)


if __name__ == "__main__":
    main()
