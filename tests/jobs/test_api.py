"""`ue` from Python: the bytes that the commands write, frozen values, nothing heavy too early."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

import ue_cli
from tests.jobs.conftest import picture, run_here, tree
from ue_cli.defaults import home_folder
from ue_cli.errors import UeError
from ue_cli.owner.key import OwnerKey, install_key

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = bytes(range(32))


def test_importing_the_package_imports_nothing_else() -> None:
    probe = "import sys, ue_cli; print(sorted(n for n in sys.modules if n.startswith('ue_cli')))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ue_cli']"
    assert (Path(ue_cli.__file__).parent / "py.typed").is_file()


def test_there_is_no_name_but_those_that_are_documented() -> None:
    for name in ue_cli.__all__:
        assert getattr(ue_cli, name).__doc__
    with pytest.raises(AttributeError, match="remove"):
        ue_cli.remove  # noqa: B018


def test_the_key_lies_where_the_commands_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UE_HOME", raising=False)
    assert home_folder(None) == Path(typer.get_app_dir("ue"))
    monkeypatch.setenv("UE_HOME", "/elsewhere")
    assert home_folder(None) == Path("/elsewhere")
    assert home_folder(Path("here")) == Path("here")


@pytest.mark.usefixtures("here")
def test_a_call_writes_what_the_command_writes(tmp_path: Path) -> None:
    for index, name in enumerate(("cats", "dogs")):
        picture(tmp_path / "photos" / name / "0.png", index)
        picture(tmp_path / "photos" / name / "1.jpg", index)
    install_key(tmp_path / "home", OwnerKey(KEY))
    result = ue_cli.protect(tmp_path / "photos", look="subtle", home=tmp_path / "home", jobs=1)
    assert dataclasses.is_dataclass(result) and result.out == tmp_path / "photos-protected"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.levels = 4  # type: ignore[misc]
    options = ("--look", "subtle", "-o", tmp_path / "out")
    done = run_here(tmp_path / "home", "protect", tmp_path / "photos", *options)
    assert done.all_written, done.out
    images = {name: data for name, data in tree(result.out).items() if name.endswith("g")}
    written = tree(tmp_path / "out")
    assert len(images) == 4 and images == {name: written[name] for name in images}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("look", ["standard", "subtle", "strong"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 72), (160, 144)])
def test_tensors_get_the_pixels_that_protect_writes(
    tmp_path: Path, look: str, height: int, width: int
) -> None:
    names = ["cats", "cats", "dogs", "owls"]
    files = [
        picture(tmp_path / "photos" / name / f"{index}.png", index, size=(width, height))
        for index, name in enumerate(names)
    ]
    install_key(tmp_path / "home", OwnerKey(KEY))
    ue_cli.protect(tmp_path / "photos", look=look, home=tmp_path / "home", jobs=1)
    images = torch.from_numpy(np.stack([levels(path) for path in files])).permute(0, 3, 1, 2)
    before = images.clone()
    perturbed = ue_cli.perturb(images, names, key=KEY, look=look)
    assert torch.equal(images, before) and perturbed.shape == images.shape
    assert not torch.equal(perturbed, images)
    for file, image in zip(files, perturbed, strict=True):
        written = tmp_path / "photos-protected" / file.relative_to(tmp_path / "photos")
        assert np.array_equal(image.permute(1, 2, 0).numpy(), levels(written))
    part = ue_cli.perturb(images[:2], names[:2], key=KEY, look=look, classes=names)
    assert torch.equal(part, perturbed[:2])


def test_numbers_are_classes_too() -> None:
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    by_number = ue_cli.perturb(images, torch.tensor([0, 1, 1]), key=KEY)
    assert torch.equal(by_number, ue_cli.perturb(images, ["0", "1", "1"], key=KEY))
    assert not torch.equal(by_number, ue_cli.perturb(images, [0, 1, 1], key=bytes(32)))
    assert ue_cli.perturb(images[:0], [], key=KEY).shape == (0, 3, 32, 32)


def test_without_a_key_the_owners_is_taken(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    install_key(tmp_path, OwnerKey(KEY))
    perturbed = ue_cli.perturb(images, ["a", "b"], home=tmp_path)
    assert torch.equal(perturbed, ue_cli.perturb(images, ["a", "b"], key=KEY))


IMAGES = torch.zeros((2, 3, 32, 32), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "options", "code"),
    [
        (IMAGES.float(), ["a", "b"], {}, "images-shape"),
        (IMAGES[0], ["a", "b"], {}, "images-shape"),
        (IMAGES[:, :1], ["a", "b"], {}, "images-shape"),
        (IMAGES, ["a"], {}, "labels-count"),
        (IMAGES, ["a", "b"], {"classes": ["a", "c"]}, "labels-classes"),
        (IMAGES, ["a", "b"], {"key": b"short"}, "key-length"),
        (IMAGES, ["a", "b"], {"look": "pretty"}, "look-unknown"),
        (IMAGES, ["a", "b"], {"epsilon": 0}, "epsilon-range"),
    ],
)
def test_what_cannot_be_perturbed_gets_a_sentence(
    images: torch.Tensor, labels: list[str], options: dict[str, object], code: str
) -> None:
    with pytest.raises(UeError) as refused:
        ue_cli.perturb(images, labels, **({"key": KEY} | options))  # type: ignore[arg-type]
    assert refused.value.code == code


def test_a_bank_is_made_and_applied(tmp_path: Path) -> None:
    for index, name in enumerate(("cats", "dogs")):
        picture(tmp_path / "photos" / name / "0.png", index)
    bank = tmp_path / "bank.safetensors"
    result = ue_cli.optimize(tmp_path / "photos", bank, cells=4, seed=0, home=tmp_path / "home")
    assert bank.is_file() and result.classes == ("cats", "dogs")
    with pytest.raises(UeError, match="is there"):
        ue_cli.optimize(tmp_path / "photos", bank, cells=4, seed=0, home=tmp_path / "home")


@pytest.mark.usefixtures("here", "short")
def test_an_evaluation_and_a_certificate_are_values(tmp_path: Path) -> None:
    for label, name in enumerate(("cats", "dogs")):
        for index in range(40):
            picture(tmp_path / "photos" / name / f"{index}.png", 100 * label + index, size=(32, 32))
    home, photos = tmp_path / "home", tmp_path / "photos"
    out = ue_cli.protect(photos, home=home, jobs=1).out
    options = {"home": home, "jobs": 1, "device": "cpu", "min_test": 10}
    planned = ue_cli.evaluate(out, photos, against=["none"], dry_run=True, **options)  # type: ignore[arg-type]
    assert planned.evaluation is None and planned.cells == (("small", "none", 100),)
    result = ue_cli.evaluate(out, photos, against=["none"], **options)  # type: ignore[arg-type]
    assert result.evaluation is not None and result.to_json()["trainings"] == 2
    certificate = ue_cli.certify(out, photos, runs=2, draws=100, sigma=0.1, **options)  # type: ignore[arg-type]
    assert certificate.to_json()["certificate"]["measured"]["runs"]


def levels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_lines_in_readme_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1 and len(blocks[0].replace("\n\n", "\n").splitlines()) == 6
    for index, name in enumerate(("cats", "dogs")):
        picture(tmp_path / "photos" / name / "0.jpg", index, size=(320, 240))
    (tmp_path / "lines.py").write_text(blocks[0])
    environment = {**os.environ, "UE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "lines.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photos-protected" / "cats" / "0.jpg").is_file()
