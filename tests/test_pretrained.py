"""The bundled perturbations, their cards, and the script that made them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import make_pretrained
import numpy as np
import pytest
from PIL import Image

from ue_cli.banks.bank import load_bank
from ue_cli.banks.cardfile import read_card, write_card
from ue_cli.banks.cards import Measurement
from ue_cli.banks.hub import BUNDLE, bundled
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.pue import Pue
from ue_cli.training.supervised import VictimRecipe

ROOT = Path(__file__).resolve().parent.parent
NAMES = [card.name for card in bundled()]


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_bank_is_what_its_card_says(name: str) -> None:
    card = read_card(BUNDLE / f"{name}.json")
    path = BUNDLE / card.file
    card.check_file(path)
    card.check_bank(load_bank(path))
    assert card.name == name
    assert card.bytes == path.stat().st_size
    assert card.levels == 8


def test_the_bundle_is_small_and_holds_nothing_without_a_card() -> None:
    assert {"csd-cifar10", "csd-cifar100", "csd-1000"} <= set(NAMES)
    banks = list(BUNDLE.glob("*.safetensors"))
    assert {path.stem for path in banks} == set(NAMES)
    assert sum(path.stat().st_size for path in banks) < 10_000_000


@pytest.mark.parametrize(("name", "count"), [("cifar10", 10), ("cifar100", 100), ("1000", 1000)])
def test_csd_banks_have_one_distinct_pattern_per_class_at_the_whole_budget(
    name: str, count: int
) -> None:
    bank = load_bank(BUNDLE / f"csd-{name}.safetensors")
    assert bank.delta.shape == (count, 1, 3, 8, 8)
    assert len(np.unique(bank.delta.reshape(count, -1), axis=0)) == count
    assert (np.abs(bank.delta) == 8).all()
    assert list(bank.classes) == sorted(bank.classes)


def test_the_script_makes_the_bundled_bytes_again(tmp_path: Path) -> None:
    made = make_pretrained.make("csd-cifar10", tmp_path, 0, 0, tmp_path)
    assert made.sha256 == read_card(BUNDLE / "csd-cifar10.json").sha256


def test_measurements_outlive_a_remake_of_the_same_bank_only(tmp_path: Path) -> None:
    card = make_pretrained.make("csd-cifar10", tmp_path, 0, 0, tmp_path)
    write_card(replace(card, measured=(measurement(),)), tmp_path / "csd-cifar10.json")
    again = make_pretrained.make("csd-cifar10", tmp_path, 0, 0, tmp_path)
    assert again.measured == (measurement(),)
    write_card(replace(again, sha256="0" * 64), tmp_path / "csd-cifar10.json")
    other = make_pretrained.make("csd-cifar10", tmp_path, 0, 0, tmp_path)
    assert other.measured == ()


def test_classes_that_have_not_collapsed_are_not_published() -> None:
    few = PixelCsd(cells=2, per_class=4, steps=1, gradient="released")
    with pytest.raises(RuntimeError, match="collapsed"):
        make_pretrained.make_csd("short", ("a", "b"), few)


def test_a_public_seed_gives_every_bank_its_own_patterns() -> None:
    small = PixelCsd(cells=4, per_class=4, steps=40, gradient="released")
    one, two = (make_pretrained.make_csd(name, ("a", "b", "c"), small) for name in ("one", "two"))
    assert not np.array_equal(one.delta, two.delta)


@pytest.mark.slow
def test_pue_is_made_of_the_first_files_of_every_class(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        for index in range(6):
            pixels = random.integers(0, 256, (20, 20, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    tiny = Pue(
        surrogate=VictimRecipe(size=16, augment="shift", reach=2, batch=8, widths=(4, 8)),
        cells=4,
        noise_levels=(0.0,),
        draws=1,
        pattern_draws=1,
        batches=1,
        max_rounds=1,
        min_robust_rounds=0,
    )
    one = make_pretrained.make_learned(tmp_path, ("a", "b"), 4, tiny, 0)
    (tmp_path / "train" / "a" / "5.png").unlink()  # beyond the first four
    two = make_pretrained.make_learned(tmp_path, ("a", "b"), 4, tiny, 0)
    assert one.delta.shape == (2, 1, 3, 4, 4)
    assert np.array_equal(one.delta, two.delta)
    assert one.provenance.recipe["images"] == 8


def measurement() -> Measurement:
    return Measurement("cifar10", "8,000 PNG", "small", 0, 0.3, 0.5, 0.64, 0.65, "2026-11-22")


def test_the_wheel_carries_the_bundle_and_an_installed_copy_finds_it(tmp_path: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    inside = wheel["targets"]["wheel"]["force-include"]["pretrained"]
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ue_cli", tmp_path / "ue_cli", ignore=skip)
    shutil.copytree(BUNDLE, tmp_path / inside)
    probe = "from ue_cli.banks.hub import resolve\nprint(resolve('csd-cifar10').path)\n"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str(tmp_path / inside / "csd-cifar10.safetensors"), done.stderr
