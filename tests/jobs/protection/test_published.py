"""`ue protect --perturbation`: what others published, on real files, as it was published."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.banks.test_cards import MEASURED, bank, card_of
from tests.jobs.conftest import Quiet, picture, pixels, tree
from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.banks.cardfile import write_card
from ue_cli.banks.hub import BUNDLE, RULE, bundled, resolve, resolve_every
from ue_cli.banks.legacy import read_published
from ue_cli.cli import app
from ue_cli.errors import UeError
from ue_cli.evaluation.bank import collection_bank, read_public
from ue_cli.evaluation.options import EvaluateOptions
from ue_cli.images.decode import decode
from ue_cli.images.scan import scan
from ue_cli.protection.options import MethodChoice, ProtectOptions, choose_method
from ue_cli.protection.pattern import SAMPLES, CellPattern, sample_key
from ue_cli.protection.prepare import typical_short_side
from ue_cli.protection.protect import protect
from ue_cli.protection.publicnotes import describe, public_cautions
from ue_cli.protection.published import PublicPerturbation, load_perturbation, read_perturbation
from ue_cli.textures.visibility import small_copy
from ue_cli.types import Bank, Budget, Photo, PhotoSet

SIZE = 16


def folder(root: Path, **classes: int) -> Path:
    """PNGs in mid-gray tones, so that every photo has room for the whole perturbation."""
    for start, (name, count) in enumerate(classes.items()):
        for index in range(count):
            picture(root / name / f"{index}.png", 100 * start + index, size=(SIZE, SIZE))
    return root


def published(path: Path, rows: int = 4, *, most: int = 8) -> Path:
    """A tensor of whole levels as EM and PUE store theirs, in fractions of full scale."""
    signs = np.random.default_rng(0).choice([-most, most], (rows, 3, 4, 4))
    torch.save(torch.from_numpy((signs / 255).astype(np.float32)), path)
    return path


def ue(root: Path, *words: object, code: int = 0) -> dict[str, Any]:
    """`ue protect` on ``photos`` in this process: the envelope's result, or its error.

    At the whole ball, as they were published.
    """
    arguments = ["protect", root / "photos", "--home", root / "home", "--jobs", 1]
    arguments += ["--look", "strong"]
    done = CliRunner().invoke(app, [*map(str, [*arguments, *words]), "--json"])
    value = json.loads(done.stdout)
    assert done.exit_code == code, value
    found: dict[str, Any] = value.get("result") or value["error"]
    return found


def change(root: Path, name: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    return pixels(root / "photos-protected" / name) - pixels(root / "photos" / name)


def laid(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(3, 4, 4) cells on a picture of `SIZE` pixels."""
    return cells.transpose(1, 2, 0).repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)


def stored(root: Path) -> Bank:
    (path,) = (root / "home").glob("collections/*/bank.safetensors")
    return load_bank(path)


def test_a_class_wise_file_is_applied_as_it_is_and_called_public(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=2, ship=1, zebra=1)
    path = published(tmp_path / "noise.pt", 10)
    result = ue(tmp_path, "--perturbation", path, "--order", "cifar10")
    assert result["budget"]["passed"] and result["budget"]["linf"] == 8
    bank = read_published(path, Budget(8))
    for name, row in (("cat/0", 3), ("cat/1", 3), ("ship/0", 8), ("zebra/0", 0)):
        assert np.array_equal(change(tmp_path, f"{name}.png"), laid(bank.delta[row, 0])), name
    warning = result["warnings"][0]
    assert warning["code"] == "public-perturbation"
    assert "subtract it" in warning["text"] and "under your own key" in warning["remedy"]
    assert "mixed-classes" not in {w["code"] for w in result["warnings"]}
    report = tmp_path / "photos-protected.report"
    said = json.loads((report / "report.json").read_text())
    assert said["method"]["key"] == "none: it is public"
    assert said["method"]["perturbation"] == "noise.pt"
    assert said["method"]["units"].startswith("fractions of full scale")
    assert "can lay it over these photos and subtract it" in (report / "report.html").read_text()
    published_files = tree(tmp_path / "photos-protected")
    assert b"noise.pt" not in b"".join(published_files.values())
    # The owner's state keeps what a later run needs, and no path.
    (info,) = (tmp_path / "home").glob("collections/*/collection.json")
    recipe = json.loads(info.read_text())["recipe"]
    assert recipe["public"] is True and len(recipe["SHA-256"]) == 64
    assert recipe["perturbation"] == "noise.pt" and str(tmp_path) not in json.dumps(recipe)
    made = stored(tmp_path).provenance.recipe
    alone = {"cat": {"cat": 1.0}, "ship": {"ship": 1.0}, "zebra": {"airplane": 1.0}}
    assert made["transfer"] == alone and made["public"] is True
    assert made["source"]["sha256"] == made["sha256"] == recipe["SHA-256"]
    again = collection_bank(tmp_path / "photos-protected", tmp_path / "home")
    assert again is not None
    asked = EvaluateOptions(tmp_path / "photos-protected", None, None, tmp_path / "home")
    found = read_public(replace(asked, bank=again))
    assert found is not None
    assert found.bank.classes == ("cat", "ship", "zebra")
    assert found.title.startswith("noise.pt as these files carry it, SHA-256 ")
    assert collection_bank(tmp_path / "photos", tmp_path / "home") is None
    assert collection_bank(tmp_path / "photos-protected", tmp_path / "elsewhere") is None


@pytest.mark.slow
def test_a_private_perturbation_is_no_ones_to_take(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=1, dog=1)
    out, home = tmp_path / "out", tmp_path / "home"
    wanted = ProtectOptions(src=tmp_path / "photos", out=out, home=home, jobs=1)
    protect(wanted, Quiet())
    assert collection_bank(out, home) is None


@pytest.mark.slow
def test_photos_and_classes_that_join_leave_the_others_alone(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=2, dog=1)
    path = published(tmp_path / "noise.pt", 3)
    flags = ("--perturbation", path)
    ue(tmp_path, *flags)
    before, bank = tree(tmp_path / "photos-protected"), stored(tmp_path)
    picture(tmp_path / "photos" / "ant" / "0.png", 300, size=(SIZE, SIZE))
    picture(tmp_path / "photos" / "bee" / "0.png", 301, size=(SIZE, SIZE))
    picture(tmp_path / "photos" / "cat" / "later.png", 302, size=(SIZE, SIZE))
    result = ue(tmp_path, *flags)
    assert (result["protected"], result["kept"]) == (3, 3)
    after, grown = tree(tmp_path / "photos-protected"), stored(tmp_path)
    assert all(after[name] == data for name, data in before.items() if name.endswith(".png"))
    assert grown.classes == ("cat", "dog", "ant", "bee")
    assert np.array_equal(grown.delta[:2], bank.delta)
    assert np.array_equal(change(tmp_path, "cat/later.png"), change(tmp_path, "cat/0.png"))
    assert list(grown.provenance.recipe["transfer"]["bee"].values()) == [0.5, 0.5]
    warning = next(w for w in result["warnings"] if w["code"] == "mixed-classes")
    assert "3 entries for 4 classes, so that 1 of them, such as bee" in warning["text"]
    # The same perturbation in another kind of file is the same; another one is not.
    save_bank(read_published(path, Budget(8)), tmp_path / "same.safetensors")
    assert ue(tmp_path, "--perturbation", tmp_path / "same.safetensors")["kept"] == 6
    other = published(tmp_path / "other.pt", 4)
    differing = ue(tmp_path, "--perturbation", other, code=2)
    assert differing["code"] == "options-differ"
    for name in ("noise.pt (SHA-256 ", "other.pt (SHA-256 "):
        assert name in differing["message"]
    assert ue(tmp_path, code=2)["code"] == "options-differ"


@pytest.mark.slow
def test_samples_are_dealt_out_in_turn_and_stay_where_they_are(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", a=2, b=1)
    path = published(tmp_path / "noise.pt", 5)
    (tmp_path / "order.txt").write_text("a\na\na\nb\nb\n")
    flags = ("--perturbation", path, "--order", tmp_path / "order.txt")
    ue(tmp_path, *flags)
    rows = read_published(path, Budget(8)).delta[:, 0]
    for name, row in (("a/0", 0), ("a/1", 1), ("b/0", 3)):
        assert np.array_equal(change(tmp_path, f"{name}.png"), laid(rows[row])), name
    before = change(tmp_path, "a/1.png")
    for index in range(4):
        picture(photos / "a" / f"-{index}.png", 50 + index, size=(SIZE, SIZE))
    ue(tmp_path, *flags, "--overwrite")
    assert np.array_equal(change(tmp_path, "a/1.png"), before)
    carried = Counter(change(tmp_path, f"a/{p.name}").tobytes() for p in (photos / "a").iterdir())
    assert len(carried) == 6  # of three published ones and three mixtures


def test_a_bundled_one_is_applied_as_it_is(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=1, ship=1)
    planned = ue(tmp_path, "--perturbation", "cifar10", "--dry-run")
    assert not (tmp_path / "photos-protected").exists() and not (tmp_path / "home").exists()
    result = ue(tmp_path, "--perturbation", "cifar10")
    public = result["perturbation"]
    assert public == planned["perturbation"]
    card = next(one for one in bundled() if one.name == public["card"])
    assert (card.dataset, public["source"], public["sha256"]) == ("cifar10", "bundle", card.sha256)
    assert public["limits"] == list(card.limits)
    bank = load_bank(BUNDLE / card.file)
    for name in ("cat", "ship"):
        photo = decode(tmp_path / f"photos/{name}/0.png")
        found = CellPattern(bank).field(name, bytes(32), photo, small_copy(photo.pixels))
        grid = np.arange(SIZE, dtype=np.float32) + np.float32(0.5)
        wanted = np.rint(8 * found.sample(grid, grid))
        assert np.array_equal(change(tmp_path, f"{name}/0.png"), wanted)
    said = json.loads((tmp_path / "photos-protected.report" / "report.json").read_text())
    assert said["public"] == public and said["method"]["chosen"] == public["chosen"]


def test_of_several_for_a_data_set_the_rule_that_chose_is_told(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=1, ship=1)
    several = resolve_every("cifar10")
    public = ue(tmp_path, "--perturbation", "cifar10", "--dry-run")["perturbation"]
    assert len(several) > 1 and public["card"] == several[0].name
    assert f"comes first of {len(several)} for cifar10. The rule: {RULE}." in public["chosen"]
    assert f"After it: {several[1].name}, " in public["chosen"]
    assert ue(tmp_path, "--perturbation", "csd-1000", "--dry-run")["perturbation"]["chosen"] == ""


def test_a_bundled_one_imports_nothing_heavy(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=1, dog=1)
    probe = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.jobs.conftest import Quiet\n"
        "from ue_cli.protection.options import ProtectOptions\n"
        "from ue_cli.protection.protect import protect\n"
        "src, out, home = map(Path, sys.argv[1:])\n"
        "own = dict(method='published', space='pixel', perturbation='csd-cifar10')\n"
        "own |= dict(src=src, out=out, home=home, jobs=1)\n"
        "protect(ProtectOptions(**own), Quiet())\n"
        "print(sorted({'torch', 'huggingface_hub'} & set(sys.modules)))\n"
    )
    words = [tmp_path / "photos", tmp_path / "out", tmp_path / "home"]
    done = subprocess.run(
        [sys.executable, "-c", probe, *words], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_size_of_the_photos_is_that_of_a_few(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", a=40)
    for index in range(5):
        picture(photos / "b" / f"{index}.png", index, size=(200, 90))
        (photos / "c").mkdir(exist_ok=True)
        (photos / "c" / f"{index}.txt").write_text("no photo")
    found = scan(photos)
    everything = PhotoSet(found.root, found.files, ("a", "b", "c"), "folders", "")
    assert typical_short_side(everything) == SIZE
    wide = replace(everything, photos=tuple(p for p in found.files if p.name[0] in "bc"))
    assert typical_short_side(wide) == 90
    none = replace(everything, photos=tuple(p for p in found.files if p.name[0] == "c"))
    assert typical_short_side(none) is None


def test_a_card_is_told_with_its_controls(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_bank(bank(), path)
    write_card(card_of(path, bank(), measured=(MEASURED, MEASURED)), tmp_path / "small.json")
    note = describe(load_perturbation(resolve(str(path)), None))
    assert (note.card, note.limits, note.chosen) == ("small", ("Public.",), "")
    assert len(note.claims) == 2
    for words in ("8,000 PNG of cifar10", "64.0 % (65.0 %)", "30.0 % (50.0 %)", "2026-11-22"):
        assert words in note.claims[0]
    assert "not on yours" in note.claims[0]
    (tmp_path / "small.json").unlink()
    bare = describe(load_perturbation(resolve(str(path)), None))
    assert (bare.card, bare.claims, bare.limits) == (None, (), ())


def test_a_converted_one_names_the_file_that_it_was(tmp_path: Path) -> None:
    path, own = published(tmp_path / "noise.pt"), tmp_path / "own.safetensors"
    first = load_perturbation(resolve(str(path)), Budget(8))
    save_bank(first.bank, own)
    again = load_perturbation(resolve(str(own)), Budget(8))
    assert again.digest == first.digest  # photos protected with one can be joined with the other
    assert "converted from" not in first.recipe()
    assert again.recipe()["converted from"] == f"noise.pt, SHA-256 {first.sha256}"
    assert again.recipe()["units"] == first.recipe()["units"]


def test_levels_are_those_published_unless_rescaled(tmp_path: Path) -> None:
    array = published(tmp_path / "noise.pt")
    bank = tmp_path / "bank.safetensors"
    save_bank(read_published(array, Budget(8)), bank)
    for path in (array, bank):
        for budget, rescale, levels in ((16, False, 8), (16, True, 16), (4, True, 4)):
            wanted = ProtectOptions(
                src=tmp_path / "photos",
                out=tmp_path / "out",
                home=tmp_path / "home",
                method="published",
                space="pixel",
                budget=Budget(budget),
                perturbation=str(path),
                rescale=rescale,
            )
            found = read_perturbation(wanted)
            assert found is not None and found.bank.budget == Budget(budget)
            assert (np.abs(found.bank.delta) == levels).all()


def test_what_cannot_be_used_is_refused_before_any_work(tmp_path: Path) -> None:
    folder(tmp_path / "photos", a=1, b=1)
    good = published(tmp_path / "noise.pt")
    save_bank(read_published(good, Budget(8)), tmp_path / "bank.safetensors")
    (tmp_path / "cut.pt").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.safetensors").write_text("<html>")
    single = published(tmp_path / "single.pt", 1)
    np.save(tmp_path / "nan.npy", np.full((2, 3, 4, 4), np.nan, np.float32))
    np.save(tmp_path / "gray.npy", np.full((2, 1, 4, 4), 0.03, np.float32))
    newer = (tmp_path / "bank.safetensors").read_bytes().replace(b'version\\": 1', b'version\\": 9')
    (tmp_path / "newer.safetensors").write_bytes(newer)
    for words, expected in (
        ((tmp_path / "gone.pt",), (4, "perturbation-missing")),
        ((tmp_path / "cut.pt",), (4, "perturbation-unreadable")),
        ((tmp_path / "text.safetensors",), (4, "perturbation-unreadable")),
        (("no-such-name",), (4, "perturbation-unknown")),
        ((good, "--order", "cifar10"), (4, "perturbation-unreadable")),
        ((good, "--order", tmp_path / "gone.txt"), (4, "perturbation-order")),
        ((good, "--epsilon", 4), (4, "perturbation-over-budget")),
        ((tmp_path / "bank.safetensors", "--epsilon", 4), (4, "perturbation-over-budget")),
        ((tmp_path / "bank.safetensors", "--units", "levels"), (2, "flags-clash")),
        ((single,), (4, "transfer-classes")),
        ((tmp_path / "nan.npy",), (4, "perturbation-unreadable")),
        ((tmp_path / "gray.npy",), (4, "perturbation-unreadable")),
        ((tmp_path / "newer.safetensors",), (4, "perturbation-unreadable")),
    ):
        error = ue(tmp_path, "--perturbation", *words, code=expected[0])
        assert error["code"] == expected[1] and error["hint"], error
    assert not (tmp_path / "photos-protected").exists()
    assert not list((tmp_path / "home").glob("collections/*"))


@pytest.mark.parametrize("said", [3, [1], {"x": "1"}, {"x": 0.5}, {"x": 2}, {"x": -1}, {"x": None}])
def test_a_bank_whose_samples_are_no_patterns_of_it_is_refused(tmp_path: Path, said: Any) -> None:
    """A crafted number would ask for that many patterns per class."""
    made, file = bank(), tmp_path / "x.safetensors"
    source = replace(made.provenance, recipe={SAMPLES: said})
    save_bank(replace(made, delta=made.delta.repeat(2, axis=1), provenance=source), file)
    with pytest.raises(UeError, match="numbers from 0 to 1") as caught:
        load_perturbation(resolve(str(file)), Budget(8))
    assert caught.value.exit_code == 4


def test_a_bank_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    made = bank()
    save_bank(replace(made, delta=np.zeros_like(made.delta)), tmp_path / "x.safetensors")
    with pytest.raises(UeError, match="all its values are zero"):
        load_perturbation(resolve(str(tmp_path / "x.safetensors")), Budget(8))


def other_data(bank: Bank, *names: str) -> list[str]:
    """What is said of a bank that is given to such photos."""
    photos = PhotoSet(
        Path(),
        tuple(Photo(Path(name), name, name.split("/")[0]) for name in names),
        tuple(sorted({name.split("/")[0] for name in names})),
        "folders",
        "",
    )
    public = PublicPerturbation(bank, "x", "0" * 64, "path")
    cautions = public_cautions(public, bank, photos)
    return [one.text for one in cautions if one.code == "other-data"]


def test_a_bank_that_was_learned_on_other_photos_is_called_so(tmp_path: Path) -> None:
    named = ("cat", "dog", "frog", "horse")
    path = published(tmp_path / "noise.pt")
    learned = read_published(path, Budget(8), order=named)
    assert other_data(learned, "Cat/0.png", "boat/1.png") == []
    (said,) = other_data(learned, "boat/0.png", "car/1.png")
    assert "none of its classes (cat, dog, frog and 1 more) is one of these (boat, car)" in said
    assert other_data(read_published(path, Budget(8)), "boat/0.png", "car/1.png") == []
    drawn = replace(learned, provenance=replace(learned.provenance, method="csd"))
    assert other_data(drawn, "boat/0.png", "car/1.png") == []
    recipe = {SAMPLES: {sample_key("cat", "cat/0.png"): 0}}
    own = replace(learned, provenance=replace(learned.provenance, recipe=recipe))
    assert other_data(own, "cat/0.png", "dog/0.png") == []
    (said,) = other_data(own, "cat/1.png", "dog/0.png")
    assert "of its 1 files none is here" in said


@pytest.mark.parametrize(
    "flags",
    [
        {"method": "csd"},
        {"method": "pue"},
        {"space": "pixel"},
    ],
)
def test_a_finished_perturbation_and_making_one_clash(flags: dict[str, Any]) -> None:
    with pytest.raises(UeError, match=f"--{next(iter(flags))} .* was given") as caught:
        choose_method(perturbation="x.pt", **flags)
    assert caught.value.code == "flags-clash" and caught.value.exit_code == 2


@pytest.mark.parametrize("flags", [{"order": "x"}, {"units": "levels"}, {"rescale": True}])
def test_flags_for_reading_need_something_to_read(flags: dict[str, Any]) -> None:
    with pytest.raises(UeError, match="no published perturbation to read") as caught:
        choose_method(**flags)
    assert caught.value.code == "flags-clash"
    assert choose_method(perturbation="x", **flags) == MethodChoice(
        method="published", space="pixel"
    )


def test_help_tells_of_it() -> None:
    text = CliRunner().invoke(app, ["protect", "--help"], env={"COLUMNS": "200"}).output
    for flag in ("--perturbation", "--order", "--units", "--rescale"):
        assert flag in text
    assert "anyone who has it can subtract it" in " ".join(text.split())


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_evaluate_takes_a_public_perturbation_without_being_asked(tmp_path: Path) -> None:
    folder(tmp_path / "photos", cat=10, dog=10)
    ue(tmp_path, "--perturbation", published(tmp_path / "noise.pt"))
    words: list[object] = ["evaluate", tmp_path / "photos-protected"]
    words += ["--original", tmp_path / "photos", "--home", tmp_path / "home", "--against", "none"]
    words += [
        "--test-share",
        0.5,
        "--min-test",
        10,
        "--jobs",
        1,
        "--device",
        "cpu",
        "--dry-run",
        "--json",
    ]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    cells = json.loads(done.stdout)["result"]["cells"]
    found = [cell["countermeasure"] for cell in cells]
    assert found == ["none", "subtraction", "subtraction-span"]
