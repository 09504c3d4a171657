"""`ue fetch-perturbations` of what is bundled: the list, the cards, the envelope."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.banks.test_cards import MEASURED, bank, card_of
from ue_cli.banks.bank import save_bank
from ue_cli.banks.cardfile import write_card
from ue_cli.banks.fetch import fetch
from ue_cli.banks.hub import BUNDLE, RULE
from ue_cli.cli import app
from ue_cli.errors import UeError
from ue_cli.render.banks import fetch_rows


def ue(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["fetch-perturbations", *arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A measured bank and one that is not."""
    for name, changes in {"csd-small": {"measured": ()}, "pue-small": {}}.items():
        path = tmp_path / f"{name}.safetensors"
        save_bank(bank(), path)
        write_card(card_of(path, bank(), **changes), tmp_path / f"{name}.json")
    return tmp_path


def test_without_a_name_everything_bundled_is_listed() -> None:
    code, out, _ = ue()
    assert code == 0
    for name in ("csd-1000", "csd-cifar10", "csd-cifar100"):
        assert name in out
    assert "ε = 8/255" in out


def test_the_list_says_what_was_measured_and_what_was_not(bundle: Path) -> None:
    rows = dict(fetch_rows(fetch(None, bundle=bundle))[0])
    assert "effect not measured" in rows["csd-small"]
    assert "30.0 % (best epoch 50.0), clean control 64.0 % (65.0)" in rows["pue-small"]
    assert "bundled" in rows["pue-small"]


def test_the_list_has_the_worst_measurement_on_each_data_set(tmp_path: Path) -> None:
    path = tmp_path / "csd-small.safetensors"
    save_bank(bank(), path)
    worse, other = replace(MEASURED, last=0.5), replace(MEASURED, data="tiny-imagenet", last=0.2)
    measured = (MEASURED, worse, other)
    write_card(card_of(path, bank(), measured=measured), tmp_path / "csd-small.json")
    [(_, words)] = fetch_rows(fetch(None, bundle=tmp_path))[0]
    assert "cifar10: 50.0 %" in words and "tiny-imagenet: 20.0 %" in words
    assert "30.0 %" not in words
    _, [(_, lines)] = fetch_rows(fetch("csd-small", bundle=tmp_path))
    assert sum("clean control" in line for line in lines) == 3


def test_a_data_set_gets_every_bank_of_it_and_the_rule(bundle: Path) -> None:
    result = fetch("cifar10", bundle=bundle)
    assert [one.name for one in result.perturbations] == ["pue-small", "csd-small"]
    rows, lists = fetch_rows(result)
    assert dict(rows)["Order"] == RULE
    lines = dict(lists)["pue-small"]
    assert str(bundle / "pue-small.safetensors") in lines
    assert any("as its card says" in line for line in lines)
    assert any("Licence: MIT" in line for line in lines)


def test_the_envelope_keeps_its_keys() -> None:
    code, out, _ = ue("csd-cifar10", "--json")
    envelope = json.loads(out)
    assert (code, envelope["command"], envelope["ok"]) == (0, "fetch-perturbations", True)
    assert set(envelope["result"]) == {"fetched", "rule", "perturbations"}
    [found] = envelope["result"]["perturbations"]
    expected = "name source path bytes sha256 address method levels shape card"
    assert set(found) == set(expected.split())
    assert found["source"] == "bundle"
    assert found["path"] == str(BUNDLE / "csd-cifar10.safetensors")
    assert found["card"]["sha256"] == found["sha256"]


def test_an_unknown_name_ends_with_exit_code_4() -> None:
    code, _, err = ue("csd-cifra10")
    assert code == 4
    assert "csd-cifar10" in err
    code, out, _ = ue("csd-cifra10", "--json")
    assert code == json.loads(out)["exit_code"] == 4


def test_a_bank_of_ones_own_is_described_without_a_card(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_bank(bank(), path)
    result = fetch(str(path))
    [own] = result.perturbations
    assert (own.source, own.method, own.levels, own.card) == ("path", "csd", 8, None)
    _, [(title, lines)] = fetch_rows(result)
    assert title == "own"
    assert any("nothing is known" in line for line in lines)


def test_a_published_array_is_described_and_anything_else_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.npy"
    np.save(path, np.zeros((10, 3, 4, 4), np.float32))
    [found] = fetch(str(path)).perturbations
    assert (found.method, found.levels, found.shape) == (None, None, (10, 3, 4, 4))
    _, [(_, lines)] = fetch_rows(fetch(str(path)))
    assert any("published array of 10×3×4×4" in line for line in lines)
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    with pytest.raises(UeError, match="should end in"):
        fetch(str(other))


def test_a_card_that_lies_about_its_bank_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_bank(bank(), path)
    write_card(card_of(path, bank(), levels=4), tmp_path / "own.json")
    with pytest.raises(UeError, match="levels"):
        fetch(str(path))


def test_fetching_what_is_bundled_imports_nothing_heavy() -> None:
    probe = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ue_cli.cli import app\n"
        "for arguments in ([], ['cifar10'], ['csd-1000', '--json']):\n"
        "    result = CliRunner().invoke(app, ['fetch-perturbations', *arguments])\n"
        "    assert result.exit_code == 0, result.output\n"
        "print(sorted({'torch', 'huggingface_hub', 'PIL', 'jpeglib'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_rows_of_a_measurement_name_files_victim_and_day(bundle: Path) -> None:
    result: Any = fetch("pue-small", bundle=bundle)
    _, [(_, lines)] = fetch_rows(result)
    told = next(line for line in lines if "clean control" in line)
    for part in (MEASURED.files, MEASURED.victim, MEASURED.date, MEASURED.data):
        assert part in told
