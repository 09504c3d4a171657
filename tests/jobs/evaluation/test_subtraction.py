"""A public perturbation laid out on files of every shape, and taken off them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from tests.jobs.conftest import Quiet, picture
from ue_cli.banks.bank import save_bank
from ue_cli.cli import app
from ue_cli.countermeasures.registry import build
from ue_cli.errors import UeError
from ue_cli.evaluation.bank import PublicFile, for_classes, lay_out, read_public
from ue_cli.evaluation.cells import possible
from ue_cli.evaluation.files import Arrays, Source, load_arrays
from ue_cli.evaluation.options import EvaluateOptions, chosen_countermeasures
from ue_cli.images.square import Frame
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.protect import protect
from ue_cli.training.hooks import Knowledge
from ue_cli.training.publicbank import PublicBank
from ue_cli.types import STRONG, Bank, Budget, Provenance

SHAPES = ((48, 48), (90, 40), (40, 90), (130, 200))
PER_SHAPE = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``src`` with wide, tall, gray and turned photos of two classes, protected as ``out``."""
    root = tmp_path_factory.mktemp("subtraction")
    turned = Image.Exif()
    turned[274] = 6
    for index in range(2 * PER_SHAPE * len(SHAPES)):
        place = root / "src" / ("cats", "dogs")[index % 2]
        size = SHAPES[index // 2 % len(SHAPES)]
        photo = picture(place / f"{index}.png", index, size=size)
        if index >= 16:
            with Image.open(photo) as image:
                image.convert("L").save(photo)
        elif index >= 8:
            with Image.open(photo) as image:
                image.save(photo, exif=turned)
    protect(
        ProtectOptions(
            src=root / "src",
            out=root / "out",
            home=root / "home",
            space="pixel",
            look=STRONG,
            jobs=1,
        ),
        Quiet(),
    )
    (stored,) = (root / "home").glob("collections/*/bank.safetensors")
    (root / "bank.safetensors").write_bytes(stored.read_bytes())
    return root


def options(root: Path, **changes: object) -> EvaluateOptions:
    asked = EvaluateOptions(
        root / "out",
        root / "src",
        None,
        root / "home",
        report=root / "report",
        min_test=4,
        device="cpu",
        jobs=1,
        against=("none",),
        bank=str(root / "bank.safetensors"),
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def given(root: Path, name: str, **changes: object) -> PublicFile:
    found = read_public(options(root, bank=str(root / name), **changes))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def arrays(folder: Path) -> Arrays:
    """All squares, and the collection's own bank laid out on them."""
    found = options(folder).read(Quiet())
    public = for_classes(given(folder, "bank.safetensors"), found.classes)
    return load_arrays(found, [("", 64)], public.bank, jobs=1, phases=Quiet())


def knowledge(bank: Mapping[str, NDArray[Any]] | None) -> Knowledge:
    assert bank is not None
    return Knowledge(bank=PublicBank(**{k: torch.from_numpy(v) for k, v in bank.items()}))


def far(some: torch.Tensor, clean: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean distance of each image from the clean one, in levels."""
    distance = (some.float() - torch.from_numpy(clean)).abs().mean((1, 2, 3))
    return np.asarray(distance, np.float32)


@pytest.mark.slow
def test_the_true_bank_gives_nearly_clean_images_of_every_shape(arrays: Arrays) -> None:
    data = arrays.of(Source("", 100))
    assert data.clean is not None
    known, labels = knowledge(data.bank), torch.from_numpy(data.labels)
    files = torch.from_numpy(data.protected)
    before = far(files, data.clean)
    assert before.min() > 3
    out = build("subtraction").prepare(files, labels, known, torch.Generator())
    after = far(out, data.clean)
    # Rounding, twice.
    assert after.max() < 1 and after.mean() < 0.7
    # No label, no strength: less is known, and some of the photo goes with it.
    span = build("subtraction-span").prepare(files, labels, known, torch.Generator())
    originals = torch.from_numpy(data.clean)
    same = build("subtraction-span").prepare(originals, labels, known, torch.Generator())
    assert far(span, np.asarray(same)).mean() < before.mean() / 4


@pytest.mark.slow
def test_unprotected_files_alone_keep_their_own_frames(arrays: Arrays) -> None:
    rest = arrays.of(Source("", 50, alone=True))
    whole = arrays.of(Source("", 100))
    assert rest.bank is not None and whole.bank is not None and whole.clean is not None
    assert len(rest.bank["frame"]) == len(rest.labels) < len(whole.labels)
    at = [
        next(i for i, one in enumerate(whole.clean) if np.array_equal(one, image))
        for image in rest.protected
    ]
    assert np.array_equal(rest.bank["frame"], whole.bank["frame"][at])


def test_an_entry_lies_where_the_trainer_sees_it() -> None:
    """Two cells side by side on a photo twice as wide as high: the square begins within them."""
    delta = np.zeros((1, 1, 3, 1, 4), np.int8)
    delta[..., 1:3] = (8, -8)
    bank = Bank(delta, ("a",), Budget(8), Provenance("csd", "pixel", {}, "test"))
    laid = lay_out(bank, [Frame(32, 64, False), Frame(64, 32, False), Frame(32, 64, True)], 32)
    known = knowledge(laid).bank
    assert known is not None and known.frame.tolist() == [0, 2, 1]
    seen = known.lay(known.cells[known.gray[known.frame], 0, 0], known.frame)
    assert (seen[0] == seen[0, :, :1]).all()
    assert (seen[0, :, 0, :16] == 8).all() and (seen[0, :, 0, 16:] == -8).all()
    assert (seen[1, :, :, :8] == 0).all() and (seen[1, :, :, 8:16] == 8).all()
    assert torch.equal(seen[2], seen[0])


def made_up(*classes: str) -> Bank:
    delta = np.resize(np.array([-8, 8], np.int8), (len(classes), 1, 3, 4, 4))
    return Bank(delta, classes, Budget(8), Provenance("csd", "pixel", {}, "test"))


def test_a_bank_is_tried_without_being_named_and_is_named_in_the_command(tmp_path: Path) -> None:
    asked = options(tmp_path)
    assert [spec.name for spec in chosen_countermeasures(asked)] == [
        "none",
        "subtraction",
        "subtraction-span",
    ]
    words = shlex.split(asked.command())
    assert words[words.index("--bank") + 1] == str(tmp_path / "bank.safetensors")


def test_entries_are_put_in_the_order_of_the_classes(tmp_path: Path) -> None:
    bank = made_up("cats", "dogs", "newts")
    save_bank(bank, tmp_path / "bank.safetensors")
    found = for_classes(given(tmp_path, "bank.safetensors"), ("newts", "cats"))
    assert np.array_equal(found.bank.delta, bank.delta[[2, 0]])
    assert found.title.startswith("bank.safetensors, csd in pixels, SHA-256 ")


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "folder", "floats"])
def test_a_bank_that_cannot_be_used_is_refused_before_any_work(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "given.safetensors"
    if kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        save_bank(made_up("cats", "dogs"), path)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] if kind == "truncated" else whole.replace(b'"I8"', b'"U8"'))
    words = ["evaluate", tmp_path / "out", "--original", tmp_path / "src", "--bank", path]
    words += ["--home", tmp_path / "home", "--report", tmp_path / "report", "--json"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    error = json.loads(done.stdout)["error"]
    absent = kind in ("missing", "folder")
    expected = "perturbation-missing" if absent else "perturbation-unreadable"
    assert (done.exit_code, error["code"]) == (4, expected), error
    assert path.name in error["message"] and error["hint"]
    assert not (tmp_path / "report").exists()


def array(path: Path, rows: int = 3) -> Path:
    signs = np.random.default_rng(0).choice([-6, 6], (rows, 3, 4, 4))
    np.save(path, (signs / 255).astype(np.float32))
    return path


def test_a_published_array_is_given_to_the_classes_as_protect_gives_it(tmp_path: Path) -> None:
    array(tmp_path / "noise.npy")
    found = given(tmp_path, "noise.npy")
    assert found.title.startswith("noise.npy, published, SHA-256 ")
    assert found.bank.budget == Budget(6)  # the least that holds it
    mapped = for_classes(found, ("b", "a"))
    assert np.array_equal(mapped.bank.delta, found.bank.delta[[1, 0]])  # the rest sorted by name
    assert mapped.bank.classes == ("b", "a")
    assert mapped.title.endswith("given to these classes as ue protect would")
    (tmp_path / "order.txt").write_text("dogs\ncats\nnewts\n")
    told = given(tmp_path, "noise.npy", order=str(tmp_path / "order.txt"), units="fraction")
    named = for_classes(told, ("cats", "dogs"))
    assert np.array_equal(named.bank.delta, told.bank.delta[[1, 0]])
    assert named.title == told.title
    with pytest.raises(UeError, match="no budget is given") as caught:
        given(tmp_path, "noise.npy", units="epsilon")
    assert caught.value.code == "perturbation-units" and caught.value.hint


def test_a_bundled_one_is_taken_by_its_name(tmp_path: Path) -> None:
    found = read_public(options(tmp_path, bank="csd-cifar10"))
    assert found is not None
    assert found.title.startswith("csd-cifar10.safetensors, csd in pixels, SHA-256 57057a192c7f")
    assert for_classes(found, ("cat", "ship")).bank.delta.shape == (2, 1, 3, 8, 8)
    own = for_classes(found, ("newts", "cat")).bank
    assert np.array_equal(own.entry("cat"), found.bank.entry("cat"))
    assert np.array_equal(own.entry("newts"), found.bank.entry("airplane"))
    words = shlex.split(options(tmp_path, bank="csd-cifar10", units="levels").command())
    assert words[words.index("--bank") + 1] == "csd-cifar10"
    assert words[words.index("--units") + 1] == "levels"


def test_flags_for_reading_an_array_need_one(tmp_path: Path) -> None:
    with pytest.raises(UeError, match="no published array to read, but --order cifar10"):
        read_public(options(tmp_path, bank=None, order="cifar10"))


@pytest.mark.slow
def test_what_the_files_carry_is_taken_as_they_carry_it(tmp_path: Path) -> None:
    """A class that joined got an entry that it would not get if all began today."""
    path = array(tmp_path / "noise.npy")
    for name in ("bees", "cats"):
        picture(tmp_path / "src" / name / "0.png", 0, size=(16, 16))
    wanted = ProtectOptions(
        src=tmp_path / "src",
        out=tmp_path / "out",
        home=tmp_path / "home",
        method="published",
        space="pixel",
        perturbation=str(path),
        jobs=1,
    )
    protect(wanted, Quiet())
    picture(tmp_path / "src" / "ants" / "0.png", 0, size=(16, 16))
    protect(wanted, Quiet())
    found = given(tmp_path, "noise.npy")
    assert found.title.startswith("noise.npy as these files carry it, SHA-256 ")
    carried = for_classes(found, ("ants", "bees", "cats")).bank
    elsewhere = given(tmp_path, "noise.npy", home=tmp_path / "elsewhere")
    assert np.array_equal(carried.delta, elsewhere.bank.delta[[2, 0, 1]])


def test_a_bank_for_other_classes_is_refused(tmp_path: Path) -> None:
    save_bank(made_up("cats", "birds"), tmp_path / "bank.safetensors")
    with pytest.raises(UeError, match="has none for dogs; it has cats, birds") as caught:
        for_classes(given(tmp_path, "bank.safetensors"), ("cats", "dogs"))
    assert caught.value.code == "bank-classes" and caught.value.hint


def test_without_a_bank_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    asked = options(tmp_path, bank=None, against=("subtraction",))
    with pytest.raises(UeError, match="none was given") as caught:
        possible(chosen_countermeasures(asked), asked, originals=True)
    assert "--bank FILE" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_command_tries_it_and_the_report_says_with_which_bank(
    folder: Path, tmp_path: Path
) -> None:
    words: list[object] = ["evaluate", folder / "out", "--original", folder / "src"]
    words += ["--bank", folder / "bank.safetensors", "--against", "none", "--device", "cpu"]
    words += ["--test-share", 0.5, "--min-test", 10, "--jobs", 1, "--json"]
    words += ["--report", tmp_path / "report", "--home", folder / "home"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    measured = json.loads(done.stdout)["result"]["evaluation"]["measured"]
    found = {cell["countermeasure"]: cell["recipe"] for cell in measured["cells"]}
    assert list(found) == ["none", "subtraction", "subtraction-span"]
    assert "(bank.safetensors, csd in pixels, SHA-256 " in found["subtraction"]
    assert "bank.safetensors" not in found["none"]
