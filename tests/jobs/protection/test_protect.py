"""The main job through the real command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.jobs.conftest import Quiet, Ue, picture, pixels, tree
from ue_cli.certification.options import CertifyOptions
from ue_cli.cli import app
from ue_cli.owner.key import load_key
from ue_cli.owner.state import Collection
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.protect import protect
from ue_cli.textures.texture import TextureRecipe

STRONG = ("--look", "strong")
"""With it most of the small files here have room for a perturbation that counts."""


def test_every_file_is_protected_within_budget_and_keeps_its_type(ue: Ue, photos: Path) -> None:
    before = tree(photos)
    done = ue("protect", photos, *STRONG)
    assert done.code == 0, done.err
    out = photos.with_name("photos-protected")
    assert done.result["out"] == str(out)
    written = tree(out)
    assert set(written) == {*before, "ue-manifest.jsonl"}
    for name, original in before.items():
        assert (photos / name).read_bytes() == original
        difference = np.abs(pixels(out / name) - pixels(photos / name))
        assert 0 < difference.max() <= 8, name
        with Image.open(out / name) as image, Image.open(photos / name) as source:
            assert image.format == source.format
    assert done.result["protected"] == 6
    assert done.result["budget"]["passed"] is True
    assert done.result["routes"] == {"jpeg-coefficients": 4, "lossless": 2}


def test_the_envelope_keeps_its_keys(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos)
    assert set(done.envelope) == {"schema", "command", "ok", "exit_code", "result"}
    assert done.envelope["schema"] == "ue/1"
    assert set(done.result) == {
        "dry_run",
        "out",
        "report",
        "collection",
        "found",
        "protected",
        "kept",
        "skipped",
        "classes",
        "labels",
        "budget",
        "look",
        "faint",
        "routes",
        "perturbation",
        "warnings",
        "certify",
        "seconds",
    }
    assert set(done.result["budget"]) == {"levels", "linf", "passed", "mean_abs", "files"}
    look = ("name", "asked_jod", "median_jod", "least_jod", "least_file")
    assert tuple(done.result["look"]) == look


def test_nothing_is_certified_unless_it_is_asked_for(ue: Ue, photos: Path) -> None:
    report = photos.with_name("photos-protected.report")
    assert ue("protect", photos).result["certify"] is None
    assert not (report / "certificate.json").exists() and not (report / "trainings").exists()
    done = ue("protect", photos, "--certify")  # too few photos for a test set
    assert done.all_written, "a refused certificate does not undo the protection"
    assert done.result["certify"]["certified"] is False
    assert done.result["certify"]["outcome"].startswith("Not certified: ")


def test_what_was_asked_for_is_certified(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Path] = []

    def certify(options: CertifyOptions, phases: object) -> SimpleNamespace:
        assert (options.dataset / "ue-manifest.jsonl").exists(), "the files come first"
        heard.extend([options.dataset, options.original or options.dataset])
        return SimpleNamespace(
            certification=SimpleNamespace(runs_verdict="informative", runs_reason="A gap.")
        )

    monkeypatch.setattr("ue_cli.certification.certify.certify", certify)
    out = tmp_path / "out"
    words = ["protect", photos, "-o", out, "--home", tmp_path / "home", "--jobs", "1", "--json"]
    done = CliRunner().invoke(app, [*map(str, words), "--certify"])
    result = json.loads(done.stdout)["result"]
    assert result["certify"] == {"outcome": "informative: A gap.", "certified": True}
    assert heard == [out, photos]
    CliRunner().invoke(app, [*map(str, words)])
    assert len(heard) == 2, "without the flag nothing is certified"


def test_the_worst_photos_are_in_the_report_whatever_the_sample_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ue_cli.protection.protect.EXAMINED", 1)
    words = ["protect", photos, "-o", tmp_path / "out", "--home", tmp_path / "home", "--json"]
    for _ in range(2):  # the second run keeps every file
        done = CliRunner().invoke(app, [*map(str, words), "--jobs", "1"])
        assert done.exit_code in (0, 6), done.output
        report = tmp_path / "out.report"
        files = json.loads((report / "report.json").read_text())["files"]
        pictures = json.loads((report / "pictures.json").read_text())["pictures"]
        lowest = sorted(file["jod"] for file in files)
        assert [picture["jod"] for picture in pictures][:3] == lowest[:3]
        assert len(pictures) in (3, 4) and len(files) == 6
        assert [picture["crop"] is None for picture in pictures] == [False, False, False, True][
            : len(pictures)
        ]
        fidelity = json.loads((report / "report.json").read_text())["fidelity"]
        assert fidelity["measured"] == 1, "the worst are no part of the sample"


def test_the_report_lies_beside_and_is_private(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    report = photos.with_name("photos-protected.report")
    assert stat.S_IMODE(report.stat().st_mode) == 0o700
    assert {p.name for p in report.iterdir()} == {
        "pictures.json",
        "report.html",
        "report.json",
    }
    value = json.loads((report / "report.json").read_text())
    assert value["schema"] == "ue-report/2"
    assert len(value["files"]) == 6
    assert value["budget"]["passed"] is True


def test_nothing_of_the_originals_is_in_the_manifest(ue: Ue, photos: Path) -> None:
    import hashlib

    ue("protect", photos)
    text = (photos.with_name("photos-protected") / "ue-manifest.jsonl").read_text()
    for original in tree(photos).values():
        assert hashlib.sha256(original).hexdigest() not in text
    assert str(photos.parent) not in text


@pytest.mark.parametrize("epsilon", ["2", "4/255", "0.03"])
def test_smaller_budgets_hold(ue: Ue, photos: Path, epsilon: str) -> None:
    levels = {"2": 2, "4/255": 4, "0.03": 7}[epsilon]
    done = ue("protect", photos, "--epsilon", epsilon, *STRONG)
    assert done.result["protected"] == 6 and done.result["budget"]["passed"]
    assert done.result["budget"]["levels"] == levels
    for name in tree(photos):
        difference = np.abs(
            pixels(photos.with_name("photos-protected") / name) - pixels(photos / name)
        )
        assert difference.max() <= levels


def test_the_same_command_again_rewrites_nothing(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    out = photos.with_name("photos-protected")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*.*g")}
    done = ue("protect", photos)
    assert (done.result["protected"], done.result["kept"]) == (0, 6)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*.*g")} == before


@pytest.mark.slow
def test_overwrite_writes_the_same_bytes_anew(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    out = photos.with_name("photos-protected")
    before = tree(out)
    done = ue("protect", photos, "--overwrite")
    assert done.result["protected"] == 6
    assert tree(out) == before


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(ue: Ue, photos: Path, tmp_path: Path) -> None:
    ue("protect", photos, "--jobs", 1)
    out = photos.with_name("photos-protected")
    first = tree(out)
    for path in out.rglob("*.jpg"):
        path.unlink()
    done = ue("protect", photos, "--jobs", 3)
    assert (done.result["protected"], done.result["kept"]) == (4, 2)
    assert tree(out) == first


@pytest.mark.slow
def test_photos_and_classes_that_join_leave_the_others_alone(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    out = photos.with_name("photos-protected")
    before = tree(out)
    picture(photos / "cats" / "new.jpg", 30)
    picture(photos / "birds" / "first.jpg", 31)
    done = ue("protect", photos)
    assert (done.result["protected"], done.result["kept"]) == (2, 6)
    after = tree(out)
    del before["ue-manifest.jsonl"]
    assert {name: after[name] for name in before} == before


def test_a_class_that_joins_is_drawn_as_its_collection_was(tmp_path: Path) -> None:
    """Also when what is usual has changed since."""
    src, out, home = tmp_path / "src", tmp_path / "out", tmp_path / "home"
    picture(src / "cats" / "1.png", 1)
    begun = ProtectOptions(
        src=src, out=out, home=home, recipe=TextureRecipe(waves=5, low=20, high=21), jobs=1
    )
    fingerprint = protect(begun, Quiet()).fingerprint
    picture(src / "dogs" / "2.png", 2)
    protect(ProtectOptions(src=src, out=out, home=home, jobs=1), Quiet())
    owner = load_key(home)
    assert owner is not None and fingerprint is not None
    with Collection.open(home, owner, fingerprint, readonly=True) as collection:
        codes = collection.info.codes
    assert set(codes) == {"cats", "dogs"}
    for code in codes.values():
        cycles = np.hypot(*np.array(code["frequencies"]).T)
        assert len(cycles) == 5 and (cycles > 19.9).all() and (cycles < 21.1).all()


@pytest.mark.slow
def test_a_changed_original_is_protected_again(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    picture(photos / "cats" / "0.jpg", 99)
    done = ue("protect", photos)
    assert (done.result["protected"], done.result["kept"]) == (1, 5)
    out = photos.with_name("photos-protected") / "cats" / "0.jpg"
    assert np.abs(pixels(out) - pixels(photos / "cats" / "0.jpg")).max() <= 8


def test_protecting_twice_does_not_stack(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    out = photos.with_name("photos-protected")
    done = ue("protect", out, "-o", photos.with_name("again"))
    assert done.code == 3
    assert done.envelope["error"]["code"] == "nothing-usable"
    assert "already" in done.envelope["error"]["message"]


def test_other_flags_for_the_same_folder_are_refused(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    done = ue("protect", photos, "--epsilon", 4)
    assert done.code == 2
    assert done.envelope["error"]["code"] == "options-differ"


def test_dry_run_writes_nothing_at_all(ue: Ue, photos: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    done = ue("protect", photos, "--dry-run")
    assert done.code == 0
    assert done.result["dry_run"] is True
    assert done.result["classes"] == ["cats", "dogs"]
    assert tree(tmp_path) == before


def test_one_class_is_protected_with_a_warning(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos / "cats", "--labels", "single", *STRONG)
    assert done.code == 0
    assert "one-class" in {w["code"] for w in done.result["warnings"]}


@pytest.mark.slow
def test_photos_without_labels_get_pseudo_classes(ue: Ue, tmp_path: Path) -> None:
    for index in range(5):
        picture(tmp_path / "loose" / f"{index}.jpg", index)
    done = ue("protect", tmp_path / "loose", *STRONG)
    assert done.result["protected"] == 5 and not done.result["skipped"]
    assert done.result["labels"]["rule"] == "clusters"
    assert "pseudo-classes" in {w["code"] for w in done.result["warnings"]}
    picture(tmp_path / "loose" / "later.jpg", 9)
    again = ue("protect", tmp_path / "loose", *STRONG)
    assert (again.result["protected"], again.result["kept"]) == (1, 5)


@pytest.mark.slow
def test_formats_other_than_keep(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, "--format", "png")
    out = photos.with_name("photos-protected")
    assert done.code == 0
    assert sorted(p.suffix for p in out.rglob("*.png")) == [".png"] * 6
    with Image.open(out / "cats" / "0.jpg.png") as image:
        assert image.format == "PNG"


def test_jpeg_output_says_what_is_certified(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, "--format", "jpeg", *STRONG)
    assert done.code == 0
    assert "re-encoded" in {w["code"] for w in done.result["warnings"]}
    report = photos.with_name("photos-protected.report") / "report.json"
    files = {f["name"]: f for f in json.loads(report.read_text())["files"]}
    drawn = files["cats/drawn.png"]
    assert drawn["route"] == "jpeg-reencoded"
    assert drawn["linf_encoding"] <= 8 < drawn["linf"]
    assert files["cats/0.jpg"]["route"] == "jpeg-coefficients"


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "least"), [(("--space", "pixel"), 0.999), ((), 0.9)])
def test_the_pattern_lies_in_displayed_orientation(
    ue: Ue, tmp_path: Path, flags: tuple[object, ...], least: float
) -> None:
    """One scene stored upright and turned: what a viewer sees gets the same perturbation.

    A texture's phases follow from the scene but for a little of the key's, which differs.
    """
    noise = np.random.default_rng(0).integers(30, 226, (60, 40, 3), np.uint8)
    for name, orientation in (("upright", 1), ("turned", 6)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / name / "class" / "same.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.rot90(noise, orientation == 6)).save(path, exif=exif)
    changes = []
    for name in ("upright", "turned"):
        # The same collection: the turned file moves in under the same name.
        (tmp_path / "upright" / "class" / "same.png").write_bytes(
            (tmp_path / name / "class" / "same.png").read_bytes()
        )
        done = ue("protect", tmp_path / "upright", "--labels", "single", *flags)
        assert done.code in (0, 6) and done.result["protected"] == 1
        out = tmp_path / "upright-protected" / "class" / "same.png"
        changes.append(pixels(out) - pixels(tmp_path / name / "class" / "same.png"))
    upright, turned = changes[0].astype(float), np.rot90(changes[1], -1).astype(float)
    assert (upright * turned).sum() > least * (upright**2).sum() > 0


@pytest.mark.slow
def test_pixel_space(ue: Ue, photos: Path) -> None:
    flags = ("--space", "pixel", *STRONG)
    done = ue("protect", photos, *flags)
    assert done.code == 0, done.err
    assert done.result["budget"]["passed"] is True
    again = ue("protect", photos, *flags)
    assert again.result["kept"] == 6


def test_people_read_rows_on_stdout_and_progress_stays_off_it(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, *STRONG, people=True)
    assert done.code == 0
    assert "Budget" in done.out and "JOD predicted" in done.out
    assert "kept: largest difference" in done.out
    assert "Labels:" in done.err


@pytest.mark.slow
def test_files_without_room_are_known_again(ue: Ue, tmp_path: Path) -> None:
    """What no wave can move stays the original, byte for byte: that is then no protected file."""
    for value in (0, 255):
        for index in range(4):  # each at another phase
            path = tmp_path / "src" / f"{value}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1), (value,) * 3).save(path)
        flat = Image.new("RGB", (8, 8), (value,) * 3)
        flat.save(tmp_path / "src" / f"{value}" / "flat.jpg", quality=1)
    first = ue("protect", tmp_path / "src")
    again = ue("protect", tmp_path / "src")
    assert first.code == again.code in (0, 6) and not again.result["skipped"]
    assert again.result["kept"] == first.result["protected"] == 10
    (faint,) = (one for one in first.result["warnings"] if one["code"] == "faint")
    assert faint["text"].startswith(f"{first.result['faint']} of 10 files are faint")
    assert "plain or gray photos" in faint["text"] and "published" not in faint["text"]
