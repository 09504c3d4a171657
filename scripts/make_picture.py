"""Make README's picture: a photo before, after, and the difference ×16.

    python scripts/make_picture.py      # needs scikit-image, which ships the photo

The photo is ``chelsea`` by Stefan van der Walt (CC0), as a JPEG of quality 92; it is protected by
the default, JPEG to JPEG, under a key made for the picture.
"""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from effect import Quiet
from PIL import Image

from ue_cli.photos.owner.key import OwnerKey, install_key
from ue_cli.pipeline.protection.options import ProtectOptions
from ue_cli.pipeline.protection.protect import protect

TARGET = Path(__file__).resolve().parents[1] / "docs" / "before-after.jpg"
GAIN = 16
GAP = 8


def main() -> None:
    """Write the picture."""
    import skimage

    photo = Path(skimage.__file__).parent / "data" / "chelsea.png"

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = work / "photos" / "cats"
        source.mkdir(parents=True)
        Image.open(photo).convert("RGB").save(source / "chelsea.jpg", quality=92)
        install_key(work / "home", OwnerKey(sha256(b"README").digest()), replace=True)
        options = ProtectOptions(src=work / "photos", out=work / "out", home=work / "home", jobs=1)
        result = protect(options, Quiet())
        if result.budget is not None:
            print(f"{result.budget.jod_median:.2f} JOD predicted, L∞ {result.budget.linf:g}")
        before, after = (
            np.asarray(Image.open(path).convert("RGB")).astype(np.int16)
            for path in (source / "chelsea.jpg", work / "out" / "cats" / "chelsea.jpg")
        )
    apart = np.clip(128 + GAIN * (after - before), 0, 255)
    gap = np.full((before.shape[0], GAP, 3), 255)
    row = np.concatenate([before, gap, after, gap, apart], axis=1).astype(np.uint8)
    Image.fromarray(row).save(TARGET, quality=92, subsampling=0)


if __name__ == "__main__":
    main()
