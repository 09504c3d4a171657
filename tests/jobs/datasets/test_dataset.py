"""What `ue certify` takes for training and testing, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.jobs.conftest import Quiet, one_process, picture
from ue_cli.datasets.dataset import Dataset, read_dataset
from ue_cli.datasets.looks import Look
from ue_cli.datasets.split import split_off
from ue_cli.datasets.testside import Clean, read_tests, several_tested
from ue_cli.datasets.trainside import Looking
from ue_cli.errors import ExitCode, UeError
from ue_cli.owner.key import OwnerKey, install_key
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.protect import protect

CLASSES = ("cats", "dogs", "newts")
BURST = 5
pytestmark = pytest.mark.usefixtures("here")


def make_originals(root: Path) -> Path:
    """Three classes of twelve photos; five cats are one burst; one dog is a TIFF."""
    for number, name in enumerate(CLASSES):
        for index in range(12):
            suffix = ".png" if index % 3 else ".jpg"
            path = root / name / f"{index:02d}{suffix}"
            burst = name == "cats" and index < BURST
            picture(path, 700 if burst else 100 * number + index, size=(72, 56))
            if burst:
                with Image.open(path) as image:
                    image.convert("RGB").crop((index // 2, 0, 72, 56 - index % 2)).save(path)
    picture(root / "dogs" / "other.tif", 55)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """originals/, protected/ and home/, made by the real pipeline."""
    root = tmp_path_factory.mktemp("made")
    source = make_originals(root / "originals")
    # Under some keys a small JPEG comes out unchanged, and is then its own leaked copy.
    install_key(root / "home", OwnerKey(bytes(range(32))))
    with one_process():
        protect(ProtectOptions(src=source, out=root / "protected", home=root / "home"), Quiet())
    for number, name in enumerate(CLASSES):
        for index in range(6):
            picture(root / "tests" / name / f"{index}.png", 5000 + 10 * number + index)
    return root


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy of all of it to spoil."""
    return Path(shutil.copytree(made, tmp_path / "own"))


def read(
    root: Path,
    dataset: str | Path = "protected",
    original: str | Path | None = None,
    test: str | Path | None = None,
    **options: Any,
) -> Dataset:
    settings: dict[str, Any] = {"min_test": 3, "jobs": 1, "phases": Quiet()} | options
    return read_dataset(
        root / dataset,
        original=None if original is None else root / original,
        test=None if test is None else root / test,
        home=root / settings.pop("home", "home"),
        **settings,
    )


def codes(found: Dataset) -> set[str]:
    return {caution.code for caution in found.cautions}


def test_a_test_set_is_split_off_the_originals(made: Path) -> None:
    found = read(made, original="originals", test_share=0.25)
    assert found.classes == CLASSES and found.has_control and codes(found) == set()
    train, test = {item.name for item in found.train}, {item.name for item in found.test}
    assert len(train) + len(test) == 37 and not train & test
    per_class = np.bincount([item.label for item in found.test])
    assert per_class.tolist() == [3, 3, 3]
    assert [item.name for item in found.train] == sorted(train)
    for item in found.train:
        assert item.original is not None
        assert item.protected == made / "protected" / item.name
        assert item.original.read_bytes() != item.protected.read_bytes()
        assert item.original.relative_to(made / "originals").parts[0] == CLASSES[item.label]
    for clean in found.test:
        assert clean.path.is_relative_to(made / "originals")
    assert f"{len(test)} of 37 originals" in found.test_source


def test_trainers_read_squares_of_the_files_own_size_or_of_the_one_asked_for(made: Path) -> None:
    assert read(made, original="originals").side == 56
    assert read(made, original="originals", side=48).side == 48


@pytest.mark.parametrize(("seed", "expected"), [(0, 0), (8, BURST)])
def test_near_duplicates_stay_on_one_side(made: Path, seed: int, expected: int) -> None:
    """With 5 of 12 photos as one burst, random sides would all but never agree."""
    found = read(made, original="originals", test_share=0.5, seed=seed)
    burst = [c for c in found.test if c.name.startswith("cats/") and int(c.name[5:7]) < BURST]
    assert len(burst) == expected


@pytest.mark.slow
def test_the_same_seed_gives_the_same_split_and_hash(made: Path) -> None:
    one = read(made, original="originals", seed=3)
    assert read(made, original="originals", seed=3, jobs=2) == one
    other = read(made, original="originals", seed=4)
    assert other.test != one.test and other.sha256 != one.sha256


def test_without_the_owners_state_names_and_folders_do(made: Path, tmp_path: Path) -> None:
    stranger = read(made, original="originals", home=str(tmp_path / "nobody"))
    owner = read(made, original="originals")
    assert (stranger.train, stranger.test, stranger.sha256) == (
        owner.train,
        owner.test,
        owner.sha256,
    )
    assert stranger.labels_from != owner.labels_from


def test_any_labelled_folder_can_be_certified(made: Path, tmp_path: Path) -> None:
    """Another tool's data set: no manifest, another file type, one file that is no image."""
    for item in sorted((made / "protected").rglob("*/*")):
        target = tmp_path / "foreign" / item.parent.name / f"{item.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(item) as image:
            image.save(target)
    (tmp_path / "foreign" / "dogs" / "notes.txt").write_text("no image")
    found = read(made, tmp_path / "foreign", original="originals")
    assert codes(found) == {"no-manifest", "unpaired"}
    assert found.collection is None and len(found.train) + len(found.test) == 37
    alone = read(made, tmp_path / "foreign", test="tests")
    assert codes(alone) == {"no-manifest", "unreadable"} and len(alone.train) == 37


def test_a_test_folder_leaves_everything_to_train(made: Path) -> None:
    found = read(made, test="tests")
    assert (len(found.train), len(found.test)) == (37, 18) and not found.has_control
    both = read(made, original="originals", test="tests")
    assert (len(both.train), len(both.test)) == (37, 18) and both.has_control
    assert {item.protected for item in both.train} == {item.protected for item in found.train}
    assert found.sha256 != both.sha256


def test_every_byte_and_label_is_in_the_hash(own: Path) -> None:
    before = read(own, test="tests").sha256
    picture(own / "tests" / "cats" / "0.png", 9999)
    assert read(own, test="tests").sha256 != before


def test_labels_come_from_the_owners_state(tmp_path: Path) -> None:
    """A flat folder with a label file: only the state knows the classes afterwards."""
    rows = ["file_name,label"]
    for index in range(16):
        picture(tmp_path / "originals" / f"{index}.png", index)
        rows.append(f"{index}.png,{'even' if index % 2 == 0 else 'odd'}")
    (tmp_path / "originals" / "labels.csv").write_text("\n".join(rows))
    options = ProtectOptions(
        src=tmp_path / "originals", out=tmp_path / "protected", home=tmp_path / "home", jobs=1
    )
    protect(options, Quiet())
    found = read(tmp_path, original="originals")
    assert found.classes == ("even", "odd")
    assert all((int(item.name[:-4]) % 2 == 1) == bool(item.label) for item in found.train)
    with pytest.raises(UeError, match="states none") as raised:
        read(tmp_path, original="originals", home="elsewhere")
    assert raised.value.code == "labels-missing"


def spoil_two(own: Path) -> None:
    for name in ("dogs/01.png", "newts/00.jpg"):
        path = own / "protected" / name
        path.write_bytes(path.read_bytes() + b"\0")


def remove_one(own: Path) -> None:
    (own / "protected" / "dogs" / "01.png").unlink()


def unfinished(own: Path) -> None:
    path = own / "protected" / "ue-manifest.jsonl"
    path.write_text(path.read_text().replace('"complete": true', '"complete": false'))


def one_class(own: Path) -> None:
    for name in ("cats", "newts"):
        shutil.rmtree(own / "foreign" / name)


def one_original_gone(own: Path) -> None:
    next((own / "originals" / "cats").iterdir()).unlink()


def test_with_nowhere_to_test_it_says_what_to_give(made: Path) -> None:
    with pytest.raises(UeError, match="neither --original nor --test") as raised:
        read(made)
    assert "--original DIR" in raised.value.hint and "--test DIR" in raised.value.hint


@pytest.mark.parametrize(
    ("spoil", "arguments", "code", "message"),
    [
        (spoil_two, {"original": "originals"}, "dataset-changed", r"2 files.*dogs/01\.png"),
        (remove_one, {"test": "tests"}, "dataset-changed", r"1 files.*dogs/01\.png"),
        (unfinished, {"original": "originals"}, "dataset-unfinished", "has not ended"),
        (None, {"original": "protected"}, "original-is-dataset", "another folder"),
        (None, {"test": "protected"}, "test-is-dataset", "another folder"),
        (None, {"original": "originals", "test": "originals"}, "test-is-original", "another"),
        (None, {"original": "gone"}, "src-missing", "--original should be a folder"),
        (None, {"test": "gone"}, "src-missing", "--test should be a folder"),
        (None, {"dataset": "gone", "test": "tests"}, "src-missing", "DATASET should be"),
        (None, {"original": "tests"}, "originals-unpaired", "expected cats/00.jpg"),
        (None, {"test": "originals"}, "test-overlap", "look like files that are trained on"),
        (
            None,
            {"original": "originals", "min_test": 50},
            "test-too-small",
            "at least 50 clean test images, but 7 of the 37",
        ),
        (
            one_original_gone,
            {"original": "originals", "min_test": 50},
            "test-too-small",
            "of the 36 originals .*; 1 of the 37 files have none there",
        ),
        (None, {"test": "tests", "min_test": 50}, "test-too-small", "at least 50.*has 18"),
    ],
)
def test_what_certifies_nothing_is_refused(
    own: Path,
    spoil: Callable[[Path], None] | None,
    arguments: dict[str, Any],
    code: str,
    message: str,
) -> None:
    if spoil is not None:
        spoil(own)
    with pytest.raises(UeError, match=message) as raised:
        read(own, **arguments)
    assert raised.value.code == code and raised.value.hint


def test_the_remedy_of_a_small_test_set_works(made: Path) -> None:
    with pytest.raises(UeError) as raised:
        read(made, original="originals", min_test=12, test_share=0.1)
    assert "--test DIR" in raised.value.hint
    share = float(raised.value.hint.split("--test-share ")[1].split(";")[0])
    assert len(read(made, original="originals", min_test=12, test_share=share).test) >= 12


def test_an_unprotected_copy_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "originals", tmp_path / "copy")
    with pytest.raises(UeError, match="37 of 37 are the same in both") as raised:
        read(made, tmp_path / "copy", original="originals")
    assert raised.value.code == "originals-identical"


@pytest.mark.slow
def test_protected_files_are_no_originals_and_no_test_images(made: Path, tmp_path: Path) -> None:
    """Another protected collection of the same owner, given by mistake."""
    second = ProtectOptions(
        src=made / "originals",
        out=tmp_path / "second",
        home=made / "home",
        collection="another",
        jobs=1,
    )
    protect(second, Quiet())
    with pytest.raises(UeError, match="written by ue protect") as raised:
        read(made, original=tmp_path / "second")
    assert raised.value.code == "originals-protected"
    with pytest.raises(UeError, match="are protected files") as raised:
        read(made, test=tmp_path / "second")
    assert raised.value.code == "test-protected"


def test_a_training_picture_among_the_test_images_is_refused(own: Path) -> None:
    with Image.open(own / "originals" / "dogs" / "04.png") as image:
        image.save(own / "tests" / "dogs" / "x.png", compress_level=1)
    with pytest.raises(UeError, match=r"1 of 19 are trained on too, dogs/x\.png") as raised:
        read(own, original="originals", test="tests")
    assert raised.value.code == "test-overlap"


def test_a_burst_across_the_two_folders_is_said(own: Path) -> None:
    with Image.open(own / "originals" / "dogs" / "04.png") as image:
        image.crop((1, 0, 72, 56)).save(own / "tests" / "dogs" / "x.png")
    found = read(own, original="originals", test="tests")
    assert codes(found) == {"test-near"}


def test_other_classes_than_those_trained_on_are_refused(own: Path) -> None:
    (own / "tests" / "newts").rename(own / "tests" / "snakes")
    with pytest.raises(UeError, match=r"cats, dogs, newts\), but has snakes") as raised:
        read(own, test="tests")
    assert raised.value.code == "test-classes"
    shutil.rmtree(own / "tests" / "snakes")
    assert codes(read(own, test="tests")) == {"test-partial"}
    shutil.rmtree(own / "tests" / "dogs")
    with pytest.raises(UeError, match="of one class"):
        read(own, test="tests")


def test_folders_without_any_file_are_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UeError, match="there are none in") as raised:
        read(tmp_path, dataset="empty", test=tmp_path)
    assert raised.value.code == "dataset-empty"
    looking = Looking(tmp_path / "home", 1000, 1, Quiet())
    with pytest.raises(UeError, match="there are none in") as raised:
        read_tests(tmp_path / "empty", ("a", "b"), guessed=False, min_test=3, looking=looking)
    assert raised.value.code == "test-empty" and "a, b" in raised.value.hint
    assert raised.value.exit_code == ExitCode.NOTHING_USABLE


def test_a_test_set_of_one_class_asks_nothing(tmp_path: Path) -> None:
    clean = [Clean(f"{i}.png", "cats", tmp_path, Look()) for i in range(30)]
    with pytest.raises(UeError, match=r"all 30 are of one class \(cats\): a folder") as raised:
        several_tested(clean, "a folder")
    assert raised.value.code == "test-one-class" and raised.value.hint
    several_tested([*clean, Clean("x.png", "dogs", tmp_path, Look())], "a folder")


def test_a_test_folder_without_labels_is_refused(own: Path) -> None:
    for path in (own / "tests").rglob("*.png"):
        path.rename(own / "tests" / f"{path.parent.name}-{path.name}")
    with pytest.raises(UeError, match="no folder per class") as raised:
        read(own, test="tests")
    assert raised.value.code == "test-labels"


def test_one_class_and_nothing_readable_are_refused(tmp_path: Path) -> None:
    for index in range(4):
        picture(tmp_path / "single" / "cats" / f"{index}.png", index)
    with pytest.raises(UeError, match=r"one class \(cats\)") as raised:
        read(tmp_path, "single", test="single/cats")
    assert raised.value.code == "one-class"
    for name in CLASSES:
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "a.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(UeError, match="none of its 3 files can be read") as raised:
        read(tmp_path, "broken", test="single")
    assert raised.value.exit_code == ExitCode.NOTHING_USABLE


def test_what_cannot_be_used_is_left_out_and_said(own: Path) -> None:
    picture(own / "protected" / "dogs" / "stray.png", 77)
    (own / "originals" / "dogs" / "01.png").unlink()
    (own / "originals" / "newts" / "00.jpg").write_bytes(b"\xff\xd8\xff nothing")
    found = read(own, original="originals")
    assert codes(found) == {"strays", "unpaired", "originals-unreadable"}
    assert len(found.train) + len(found.test) == 35


def test_the_manifest_cannot_lead_elsewhere(own: Path) -> None:
    target = own / "protected" / "dogs" / "01.png"
    target.unlink()
    target.symlink_to(own / "originals" / "dogs" / "01.png")
    with pytest.raises(UeError, match="is a link"):
        read(own, original="originals")


def test_the_split_is_stratified_and_never_takes_a_whole_class() -> None:
    labels = [0] * 100 + [1] * 30 + [2] * 2 + [3]
    chosen = split_off(labels, list(range(133)), 0.5, seed=1)
    assert np.bincount([labels[i] for i in chosen]).tolist() == [50, 15, 1]
    whole = split_off([0, 0, 1, 1], [0, 0, 1, 1], 0.5, seed=0)
    assert whole == frozenset()


def test_the_hash_is_of_names_bytes_and_labels(made: Path) -> None:
    found = read(made, test="tests")
    lines = []
    for role, items in (("protected", found.train), ("test", found.test)):
        for item in items:
            path = item.protected if role == "protected" else item.path  # type: ignore[union-attr]
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(json.dumps([role, item.name, sha256, found.classes[item.label]]) + "\n")
    assert found.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
