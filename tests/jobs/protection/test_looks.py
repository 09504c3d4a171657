"""What a viewer sees of a written file: never more than its look allows, and said as measured."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.jobs.conftest import Ue, picture
from tests.textures.test_visibility import KINDS
from tests.textures.test_visibility import picture as pixels_of
from ue_cli.images.decode import decode
from ue_cli.images.names import plan_names
from ue_cli.images.write import Requested
from ue_cli.metadata.embedded import MetadataPolicy
from ue_cli.owner.key import Subkey
from ue_cli.protection import onefile
from ue_cli.protection.onefile import TOLERANCE, Shared, Task, Written, protect_file
from ue_cli.protection.pattern import TexturePattern
from ue_cli.textures.presets import FILLING, texture_recipe
from ue_cli.textures.texture import draw_code
from ue_cli.textures.visibility import Bounded, predicted, small_copy
from ue_cli.textures.vision import Scene, scene
from ue_cli.types import LOOKS, STANDARD, STRONG, SUBTLE, Budget, Field, Look, Skipped

SECRET = Subkey(bytes(range(32)))


def encoded(kind: str, height: int, width: int, seed: int, format: str) -> bytes:
    pixels = pixels_of(kind, height, width, seed)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    out = io.BytesIO()
    options = {"quality": 60 + 10 * (seed % 4)} if format == "JPEG" else {}
    image.save(out, format, **options)
    return out.getvalue()


@contextmanager
def written(
    data: bytes, look: Look, *, format: Requested = "keep", short: int = 200
) -> Iterator[tuple[Written | Skipped, Path]]:
    """One file, protected as a worker does it; and where it lies while that is looked at."""
    recipe = texture_recipe(look, short)
    with TemporaryDirectory() as root:
        source, out = Path(root, "source"), Path(root, "out")
        source.write_bytes(data)
        out.mkdir()
        onefile.set_up(
            Shared(
                out=out,
                subkey=SECRET,
                pattern=TexturePattern({"a": draw_code(b"a", recipe)}, recipe.bandwidth, SECRET),
                budget=Budget(8),
                look=look,
                format=format,
                policy=MetadataPolicy(strip_gps=False, strip_all=False, opt_out=False),
                max_pixels=10**6,
                protected=np.array([], "S32"),
            )
        )
        (naming,) = plan_names(["source"], {})
        yield protect_file(Task("source", source, "a", naming, None, examine=False)), out


def check(data: bytes, look: Look, done: Written | Skipped, out: Path) -> None:
    """The bound on the file as anybody decodes it."""
    if isinstance(done, Skipped):
        assert done.code == "look", done
        return
    assert look.jod is None or done.record.jod >= look.jod - TOLERANCE
    before, after = decode(data), decode(out / done.record.output)
    seen = scene(small_copy(before.pixels, before.orientation), before.height, before.width)
    found = predicted(seen, before.pixels, after.pixels, before.orientation, Budget(8))
    assert found == pytest.approx(done.record.jod)
    assert -1 < done.record.strength < 1.5


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    height=st.integers(1, 200),
    width=st.integers(1, 300),
    seed=st.integers(0, 99),
    format=st.sampled_from(["JPEG", "PNG"]),
    look=st.sampled_from(LOOKS),
)
def test_every_file_that_is_written_keeps_its_look(
    kind: str, height: int, width: int, seed: int, format: str, look: Look
) -> None:
    data = encoded(kind, height, width, seed, format)
    with written(data, look, short=min(height, width)) as (done, out):
        check(data, look, done, out)


def whole(
    field: Field,
    picture: Scene,
    size: tuple[int, int],
    budget: Budget,
    look: Look,
    *,
    ceiling: float,
) -> Bounded:
    """In place of `bounded`: no amplitude is lowered."""
    return Bounded(field, np.ones((1, 1)), *size)


@pytest.mark.parametrize("look", [SUBTLE, STANDARD])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_violation_is_found_on_the_file_and_taken_back(
    monkeypatch: pytest.MonkeyPatch, format: str, look: Look
) -> None:
    data = encoded("photo", 240, 320, 3, format)
    with written(data, look) as (honest, _):
        pass
    monkeypatch.setattr(onefile, "bounded", whole)
    with written(data, STRONG) as (beyond, _):
        assert isinstance(beyond, Written) and look.jod is not None
        assert beyond.record.jod < look.jod - 0.2
    with written(data, look) as (done, out):
        assert isinstance(done, Written) and isinstance(honest, Written)
        check(data, look, done, out)
        assert 0 < done.record.mean_abs
        if format == "PNG":  # `bounded` is worth its work: without it less is left
            assert done.record.strength < honest.record.strength


def test_a_file_that_cannot_keep_its_look_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onefile, "predicted", lambda *_: 9.0)
    with written(encoded("photo", 60, 80, 0, "PNG"), STANDARD) as (done, out):
        assert isinstance(done, Skipped) and done.code == "look"
        assert "--look standard" in done.reason and not list(out.iterdir())


def test_png_of_a_jpeg_carries_more() -> None:
    data = encoded("photo", 240, 320, 2, "JPEG")
    strengths = []
    formats: tuple[Requested, ...] = ("keep", "png")
    for format in formats:
        with written(data, STANDARD, format=format) as (done, _):
            assert isinstance(done, Written)
            strengths.append(done.record.strength)
    assert strengths[1] > strengths[0] > 0


def test_a_strong_file_carries_all_of_it() -> None:
    with written(encoded("half", 120, 160, 1, "PNG"), STRONG) as (done, _):
        assert isinstance(done, Written)
        assert done.record.carried > 0.9 and done.record.strength > 0.9
    assert texture_recipe(STRONG, 120) == FILLING


def test_the_envelope_and_the_report_tell_the_look(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, "--look", "subtle")
    look = done.result["look"]
    assert (look["name"], look["asked_jod"]) == ("subtle", 9.75)
    assert 9.74 <= look["least_jod"] <= look["median_jod"] <= 10
    said = json.loads((photos.with_name("photos-protected.report") / "report.json").read_text())
    files = {one["name"]: one for one in said["files"]}
    assert files[look["least_file"]]["jod"] == pytest.approx(look["least_jod"], abs=1e-3)
    assert all(one["jod"] >= 9.74 for one in files.values())
    assert done.result["faint"] == said["budget"]["faint_count"]
    strong = ue("protect", photos, "-o", photos.with_name("strong"), "--look", "strong")
    assert strong.result["look"]["asked_jod"] is None
    assert strong.result["look"]["median_jod"] < look["median_jod"]


def test_a_look_of_another_name_is_refused_with_those_there_are(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, "--look", "faint")
    assert done.code == 2 and done.envelope["error"]["code"] == "look-unknown"
    assert "subtle, standard, strong" in done.envelope["error"]["message"]
    assert not photos.with_name("photos-protected").exists()


def test_faint_files_are_told_by_the_exit_code(ue: Ue, tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / "src" / "a" / f"{index}.png", index, size=(160, 120))
    (tmp_path / "src" / "b").mkdir()
    Image.new("RGB", (160, 120), (90, 90, 90)).save(tmp_path / "src" / "b" / "0.jpg", quality=5)
    words = ("protect", tmp_path / "src", "--look", "strong")
    first = ue(*words)
    assert (first.code, first.result["faint"]) == (0, 1), first.out
    strict = ue(*words, "--strict")
    assert (strict.code, strict.result["kept"], strict.result["skipped"]) == (6, 4, [])
    alone = ue("protect", tmp_path / "src" / "b", "--look", "strong", "--labels", "single")
    assert (alone.code, alone.result["faint"]) == (6, 1)
    (faint,) = (one for one in alone.result["warnings"] if one["code"] == "faint")
    assert "1 of 1 files are faint" in faint["text"] and "--format png" in faint["remedy"]
