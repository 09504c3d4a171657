"""The last gate: whatever goes wrong before it, nothing beyond epsilon reaches OUT."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.jobs.conftest import Ue, picture
from ue_cli.banks import apply
from ue_cli.certificates.budget import measure
from ue_cli.images.decode import decode
from ue_cli.jpeg.coefficients import JpegResult
from ue_cli.protection import embed


def refused(ue: Ue, photos: Path) -> None:
    """Nothing is published, and the run says that a bound would have been broken."""
    done = ue("protect", photos)
    assert done.code == 5
    assert done.envelope["error"]["code"] == "budget"
    out = photos.with_name("photos-protected")
    assert [path for path in out.rglob("*") if path.suffix in (".png", ".jpg")] == []


def test_pixels_beyond_epsilon_are_not_written(
    ue: Ue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_level_too_far(pixels: np.ndarray, *_: object) -> np.ndarray:
        moved = pixels.copy()
        moved[0, 0, 0] = pixels[0, 0, 0] + 9 if pixels[0, 0, 0] < 200 else pixels[0, 0, 0] - 9
        return moved

    picture(tmp_path / "photos" / "cats" / "0.png", 0)
    monkeypatch.setattr(apply, "perturb", one_level_too_far)
    refused(ue, tmp_path / "photos")


def test_a_jpeg_beyond_epsilon_is_not_written(
    ue: Ue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_picture(data: bytes, pixels: np.ndarray, *_: object, **__: object) -> JpegResult:
        with io.BytesIO() as file:
            Image.fromarray(np.clip(pixels.astype(np.int16) + 20, 0, 255).astype(np.uint8)).save(
                file, "JPEG"
            )
            written = file.getvalue()
        after = decode(written, max_pixels=pixels.size).pixels.astype(np.uint8)
        return JpegResult(written, after, measure(pixels, after))

    picture(tmp_path / "photos" / "cats" / "0.jpg", 0)
    monkeypatch.setattr(embed, "protect_jpeg", another_picture)
    refused(ue, tmp_path / "photos")
