"""`cifar10:` and `cifar100:` in place of a folder, from tiny archives of the published layout."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets
from torchvision.datasets import utils

from tests.pipeline.conftest import Ue, picture, pixels, tree
from ue_cli.errors import UeError
from ue_cli.pipeline.datasets.packed import Packed, find_packed
from ue_cli.pipeline.datasets.unpack import RECORD, unpack

CLASSES = ["cat", "dog", "sweet_pepper"]
TRAIN, TEST = 10, 3


class Notes:
    """`Phases` that remember what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, title: str, total: int) -> None: ...

    def step(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Fake:
    """What was packed, in torchvision's order, and where the archive and the pickles lie."""

    name: str
    folder: Path
    images: dict[str, np.ndarray[Any, np.dtype[np.uint8]]]
    labels: dict[str, list[int]]

    @property
    def kind(self) -> Any:
        return getattr(datasets, self.name.upper())

    @property
    def archive(self) -> Path:
        return self.folder / str(self.kind.filename)

    @property
    def pickles(self) -> Path:
        return self.folder / str(self.kind.base_folder)

    def expected(self, split: str) -> dict[str, np.ndarray[Any, Any]]:
        pairs = zip(self.images[split], self.labels[split], strict=True)
        return {
            f"{split}/{CLASSES[label]}/{index:05d}.png": image
            for index, (image, label) in enumerate(pairs)
        }


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def pack(folder: Path, name: str, patch: pytest.MonkeyPatch) -> Fake:
    """Write a small data set as its authors do, and have torchvision expect its MD5s."""
    rng = np.random.default_rng(7)
    kind = getattr(datasets, name.upper())
    images: dict[str, list[np.ndarray[Any, Any]]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    base = folder / kind.base_folder
    base.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    for split, files, count in (
        ("train", kind.train_list, TRAIN),
        ("test", kind.test_list, TEST),
    ):
        sums = []
        for file, _ in files:
            share = count // len(files)
            data = rng.integers(0, 256, (share, 3, 32, 32), dtype=np.uint8)
            classes = [(len(labels[split]) + i) % len(CLASSES) for i in range(share)]
            images[split].append(data.transpose(0, 2, 3, 1))
            labels[split].extend(classes)
            entry = {"data": data.reshape(share, -1), key: classes}
            # Python 2 pickled a dtype's flags as numbers, of which numpy warns since 2.4.
            old = pickle.dumps(entry, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87")
            (base / file).write_bytes(old)
            sums.append([file, _md5(base / file)])
        patch.setattr(kind, f"{split}_list", sums)
    meta = base / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: CLASSES}, protocol=2))
    patch.setattr(kind, "meta", kind.meta | {"md5": _md5(meta)})
    with tarfile.open(folder / kind.filename, "w:gz") as archive:
        archive.add(base, kind.base_folder)
    patch.setattr(kind, "tgz_md5", _md5(folder / kind.filename))
    stacked = {split: np.concatenate(parts) for split, parts in images.items()}
    return Fake(name, folder, stacked, labels)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(utils.urllib.request, "urlopen", refuse)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """CIFAR-10, both packed and extracted; the current folder is another one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield pack(tmp_path / "sets", "cifar10", monkeypatch)


def _holds(folder: Path, expected: dict[str, np.ndarray[Any, Any]]) -> None:
    files = {name for name in tree(folder) if name != RECORD}
    assert files == set(expected)
    for name, image in expected.items():
        assert np.array_equal(pixels(folder / name), image), name


@pytest.mark.parametrize("kept", ["pickles", "archive"])
def test_training_images_are_protected_and_test_images_stay_clean(
    cifar: Fake, ue: Ue, kept: str
) -> None:
    """Offline, from what is at --root, which is neither changed nor littered."""
    if kept == "archive":
        shutil.rmtree(cifar.pickles)
    else:
        cifar.archive.unlink()
    before = tree(cifar.folder)
    done = ue("protect", "cifar10:", "--root", cifar.folder)
    assert done.all_written and done.result["protected"] == TRAIN, done.out
    assert done.result["classes"] == CLASSES
    images, tests = cifar.folder / "cifar10-images", cifar.folder / "cifar10-test-images"
    _holds(images, cifar.expected("train"))
    _holds(tests, cifar.expected("test"))
    after = tree(cifar.folder)
    assert {n: after[n] for n in after if not n.startswith("cifar10-")} == before
    assert str(images) in done.err and str(tests) in done.err
    assert f"--original {images} --test {tests}" in " ".join(_report_commands())
    out = Path("cifar10-protected")
    for name, image in cifar.expected("train").items():
        change = np.abs(pixels(out / name) - image)
        assert 0 < change.max() <= 8
    assert not list(out.glob("test*"))

    again = ue("protect", "cifar10:", "--root", cifar.folder)
    assert (again.result["protected"], again.result["kept"]) == (0, TRAIN)
    assert tree(cifar.folder) == after
    verified = ue("verify", out, "--original", images)
    assert verified.code == 0 and verified.result["measured"] == TRAIN


def serve(patch: pytest.MonkeyPatch, body: bytes) -> None:
    """A network that answers whatever is asked with the same bytes."""

    def retrieve(url: str, filename: str) -> None:
        Path(filename).write_bytes(body)

    patch.setattr(utils, "_get_redirect_url", lambda url, max_hops: url)
    patch.setattr(utils, "_urlretrieve", retrieve)


def _report_commands() -> list[str]:
    report = Path("cifar10-protected.report") / "report.json"
    return [line for line in report.read_text().splitlines() if "_command" in line]


def test_hundred_classes_come_with_their_fine_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ue: Ue
) -> None:
    fake = pack(tmp_path / "sets", "cifar100", monkeypatch)
    done = ue("protect", "CIFAR100:", "--root", fake.folder, "-o", tmp_path / "out")
    assert done.all_written and done.result["protected"] == TRAIN
    _holds(fake.folder / "cifar100-images", fake.expected("train"))


def test_a_folder_of_photos_beside_it_is_not_taken_for_the_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFAR-100's training file is called ``train``, as folders of images often are."""
    fake = pack(tmp_path / "sets", "cifar100", monkeypatch)
    picture(tmp_path / "data" / "train" / "cats" / "1.png", 1)
    serve(monkeypatch, fake.archive.read_bytes())
    unpack(Packed("cifar100", tmp_path / "data"), Notes())
    _holds(tmp_path / "data" / "cifar100-images", fake.expected("train"))


def test_what_is_nowhere_is_downloaded_once(
    cifar: Fake, ue: Ue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torchvision, into `data`; the archive stays for the next time, whole or not at all."""
    serve(monkeypatch, cifar.archive.read_bytes())
    done = ue("protect", "cifar10:")
    assert done.all_written and done.result["protected"] == TRAIN, done.err
    assert datasets.CIFAR10.url in done.err
    trees = {"cifar10-images", "cifar10-test-images"}
    assert {path.name for path in Path("data").iterdir()} == {cifar.archive.name, *trees}
    assert Path("data", cifar.archive.name).read_bytes() == cifar.archive.read_bytes()
    serve(monkeypatch, b"")
    shutil.rmtree("data/cifar10-images")
    assert ue("protect", "cifar10:").result["kept"] == TRAIN


def test_a_damaged_download_is_thrown_away(
    cifar: Fake, ue: Ue, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, cifar.archive.read_bytes()[:-9])
    done = ue("protect", "cifar10:")
    assert done.envelope["error"]["code"] == "dataset-missing"
    assert "damaged" in done.envelope["error"]["message"]
    assert list(Path("data").iterdir()) == []


@pytest.mark.parametrize("kept", ["pickles", "archive", "images"])
def test_a_dry_run_counts_and_writes_nothing(cifar: Fake, ue: Ue, kept: str) -> None:
    if kept == "images":
        unpack(Packed("cifar10", cifar.folder), Notes())
        shutil.rmtree(cifar.folder / "cifar10-test-images")
    if kept != "pickles":
        shutil.rmtree(cifar.pickles)
    if kept != "archive":
        cifar.archive.unlink()
    before = tree(cifar.folder.parent)
    done = ue("protect", "cifar10:", "--root", cifar.folder, "--dry-run")
    assert done.code == 0, done.out
    assert done.result["found"] == TRAIN and done.result["classes"] == CLASSES
    assert tree(cifar.folder.parent) == before


REFUSED = {
    "nothing there": ("dataset-missing", 3, ["could not be read", "--root DIR"]),
    "nothing there, dry": ("dataset-missing", 3, ["a dry run downloads nothing"]),
    "truncated archive": ("dataset-damaged", 3, ["cifar-10-python.tar.gz", "MD5", "Move it away"]),
    "damaged pickle": ("dataset-damaged", 3, ["cifar-10-batches-py", "MD5", "Move it away"]),
    "missing pickle": ("dataset-damaged", 3, ["incomplete"]),
    "the folder itself": ("dataset-missing", 2, ["is that folder itself", "Give its parent"]),
    "root is a file": ("root-not-folder", 2, ["is not a folder"]),
    "data is a file": ("root-not-folder", 2, ["data is not a folder"]),
    "root is gone": ("root-not-folder", 2, ["does not exist", "create the folder"]),
    "no name": ("flags-clash", 2, ["no data set was named", "cifar10:, cifar100:"]),
    "unknown": ("dataset-unknown", 2, ["cifar11:", "Did you mean cifar10:", "cifar100:"]),
    "no colon": ("src-missing", 2, ["write cifar10: with its colon"]),
    "more after it": ("src-missing", 2, ["write cifar10: with nothing after", "--root"]),
    "a drive": ("src-missing", 2, ["D:"]),
    "another folder": ("tree-foreign", 2, ["cifar10-images", "something else"]),
    "a file is gone": ("tree-incomplete", 2, ["the 10 train images", "9 files", "Remove"]),
    "guessed, dry": ("flags-clash", 2, ["labels of its own"]),
    "out is the tests": ("out-is-src", 2, ["cifar10-test-images"]),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_refused_and_why(cifar: Fake, ue: Ue, case: str) -> None:
    root = cifar.folder
    words: list[object] = ["protect", "cifar10:", "--root", root]
    match case:
        case "nothing there":
            words[3] = Path.cwd()
        case "nothing there, dry":
            words[2:] = ["--dry-run"]
        case "truncated archive":
            shutil.rmtree(cifar.pickles)
            cifar.archive.write_bytes(cifar.archive.read_bytes()[:-100])
        case "damaged pickle":
            (cifar.pickles / "data_batch_2").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
        case "missing pickle":
            (cifar.pickles / "test_batch").unlink()
        case "the folder itself":
            words[3] = cifar.pickles
        case "root is a file":
            words[3] = cifar.archive
        case "data is a file":
            Path("data").write_text("mine")
            words[2:] = []
        case "root is gone":
            words[3] = root / "gone"
        case "no name":
            picture(Path("photos/a/1.png"), 1)
            words[1] = "photos"
        case "unknown":
            words[1] = "cifar11:"
        case "no colon":
            words[1:] = ["CIFAR10"]
        case "more after it":
            words[1:] = ["CIFAR10:/data"]
        case "a drive":
            words[1:] = ["D:"]
        case "another folder":
            picture(root / "cifar10-images" / "mine.png", 1)
        case "a file is gone":
            unpack(Packed("cifar10", root), Notes())
            (root / "cifar10-images" / "train" / "cat" / "00000.png").unlink()
        case "guessed, dry":
            words += ["--dry-run", "--labels", "clusters"]
        case "out is the tests":
            unpack(Packed("cifar10", root), Notes())
            words += ["-o", root / "cifar10-test-images"]
    before = tree(cifar.folder.parent)
    done = ue(*words)
    code, exit_code, said = REFUSED[case]
    error = done.envelope["error"]
    assert (error["code"], done.code) == (code, exit_code), error
    assert all(part in f"{error['message']} {error['hint']}" for part in said), error
    assert tree(cifar.folder.parent) == before


def test_a_folder_of_that_name_wins(cifar: Fake, ue: Ue) -> None:
    picture(Path("cifar10:/a/1.png"), 1)
    picture(Path("cifar10:/b/1.png"), 2)
    assert ue("protect", "cifar10:").result["protected"] == 2
    assert Path("cifar10:-protected/a/1.png").is_file()
    assert find_packed(Path("cifar10:"), None) is None


def test_a_full_disk_leaves_nothing_half(
    cifar: Fake, ue: Ue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test images fit, the training images do not; with room, the same command goes on."""
    saved, room = Image.Image.save, [TEST + TRAIN // 2]

    def save(image: Image.Image, path: Path, **options: Any) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        saved(image, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", save)
        done = ue("protect", "cifar10:", "--root", cifar.folder)
    assert done.envelope["error"]["code"] == "disk-full"
    left = {path.name for path in cifar.folder.iterdir()}
    assert left == {cifar.archive.name, cifar.pickles.name, "cifar10-test-images"}
    assert not Path("cifar10-protected").exists()
    unpack(Packed("cifar10", cifar.folder), Notes())
    _holds(cifar.folder / "cifar10-images", cifar.expected("train"))


@pytest.mark.parametrize("command", ["evaluate", "certify"])
def test_it_names_the_clean_images_elsewhere_too(cifar: Fake, ue: Ue, command: str) -> None:
    """They are unpacked for it; three are too few to test on, which shows whose they are."""
    root = cifar.folder
    unpack(Packed("cifar10", root), Notes())
    shutil.copytree(root / "cifar10-images", "other")
    shutil.rmtree(root / "cifar10-test-images")
    done = ue(command, "other", "--test", "cifar10:", "--root", root)
    assert f"{root / 'cifar10-test-images'} has {TEST}" in done.envelope["error"]["message"]
    done = ue(command, "other", "--original", "cifar10:", "--root", root)
    assert f"{TRAIN} of {TRAIN} are the same" in done.envelope["error"]["message"]
    done = ue(command, "other", "--original", "other", "--root", root)
    assert done.envelope["error"]["code"] == "flags-clash"
    done = ue(command, "other", "--test", "cifar1:", "--root", root)
    assert done.envelope["error"]["message"].startswith("--test should be")


def test_what_a_killed_run_left_is_swept(cifar: Fake) -> None:
    half = cifar.folder / ".ue-cifar10" / "work" / "train" / "train" / "cat"
    half.mkdir(parents=True)
    (half / "00000.png").write_bytes(b"half")
    told = Notes()
    unpack(Packed("cifar10", cifar.folder), told)
    assert not (cifar.folder / ".ue-cifar10").exists()
    _holds(cifar.folder / "cifar10-images", cifar.expected("train"))
    assert [note.partition(" ")[0] for note in told.notes] == [str(TEST), str(TRAIN)]


def test_a_root_that_cannot_be_written_to(cifar: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UeError, match="does not let this user write") as refused:
        unpack(Packed("cifar10", cifar.folder), Notes())
    assert refused.value.code == "root-not-writable" and "Link" in refused.value.hint
