"""PUE and EM through the real command line, on folders that train in a second."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.jobs.conftest import Ue, picture, pixels, tree
from ue_cli.banks.bank import load_bank
from ue_cli.errors import UeError
from ue_cli.protection.options import MethodChoice, choose_cells, choose_method
from ue_cli.types import Bank

STRONG = ("--look", "strong")
"""Cells as they were made: no look sets their amplitudes from place to place."""


def folder(root: Path, **classes: int) -> Path:
    """PNGs in mid-gray tones, so that every photo has room for the whole perturbation."""
    for start, (name, count) in enumerate(classes.items()):
        for index in range(count):
            picture(root / name / f"{index}.png", 100 * start + index, size=(48, 48))
    return root


def stored_bank(home: Path, fingerprint: str) -> Bank:
    return load_bank(home / "collections" / fingerprint / "bank.safetensors")


def change(folder: Path, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return pixels(folder.with_name("photos-protected") / name) - pixels(folder / name)


@pytest.mark.slow
def test_pue_gives_each_class_cells_that_a_joining_class_leaves_alone(
    ue: Ue, tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", cats=3, dogs=3)
    done = ue("protect", photos, "--method", "pue", *STRONG)
    assert done.code == 0, done.err
    assert done.result["budget"]["passed"] and done.result["budget"]["mean_abs"] > 3
    assert np.array_equal(change(photos, "cats/0.png"), change(photos, "cats/1.png"))
    assert not np.array_equal(change(photos, "cats/0.png"), change(photos, "dogs/0.png"))
    assert "learned-cells" in {w["code"] for w in done.result["warnings"]}
    report = json.loads((photos.with_name("photos-protected.report") / "report.json").read_text())
    assert report["method"]["method"] == "PUE" and int(report["method"]["robust rounds"]) >= 3
    bank = stored_bank(tmp_path / "home", done.result["collection"])
    assert bank.provenance.method == "pue" and bank.delta.shape == (2, 1, 3, 8, 8)
    before = tree(photos.with_name("photos-protected"))

    for flags, says in (
        (("--method", "em"), "was made with method pue; this run asks for method em"),
        ((), "was made with method pue, space pixel"),
    ):
        refused = ue("protect", photos, *flags, *STRONG, people=True)
        assert refused.code == 2 and says in refused.err

    folder(photos, newts=0, toads=3)
    joined = ue("protect", photos, "--method", "pue", *STRONG)
    assert (joined.result["protected"], joined.result["kept"]) == (3, 6)
    after = tree(photos.with_name("photos-protected"))
    assert all(after[name] == data for name, data in before.items() if name.endswith(".png"))
    grown = stored_bank(tmp_path / "home", done.result["collection"])
    assert grown.classes == ("cats", "dogs", "toads")
    assert np.array_equal(grown.delta[:2], bank.delta)


@pytest.mark.slow
def test_tue_gives_each_photo_its_own_and_a_later_one_one_of_its_class(
    ue: Ue, tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", cats=3, dogs=2)
    flags = ("--method", "tue", *STRONG)
    done = ue("protect", photos, *flags)
    assert done.code == 0, done.err
    assert done.result["budget"]["passed"] and done.result["budget"]["mean_abs"] > 3
    changes = [change(photos, f"cats/{index}.png").tobytes() for index in range(3)]
    assert len(set(changes)) == 3
    bank = stored_bank(tmp_path / "home", done.result["collection"])
    assert bank.provenance.method == "tue" and bank.delta.shape == (2, 3, 3, 8, 8)
    report = json.loads((photos.with_name("photos-protected.report") / "report.json").read_text())
    assert report["method"]["preset"] == "small"
    assert report["method"]["surrogate"] == "simclr, small"
    assert report["method"]["weight of CSD"] == "1.0"
    assert report["method"]["gradient of CSD"] == "paper"
    picture(photos / "cats" / "later.png", 77, size=(48, 48))
    again = ue("protect", photos, *flags)
    assert (again.result["protected"], again.result["kept"]) == (1, 5)
    assert change(photos, "cats/later.png").tobytes() in changes


@pytest.mark.slow
def test_one_class_alone_is_refused_before_anything_is_written(ue: Ue, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", cats=2)
    (photos / "dogs").mkdir()
    (photos / "dogs" / "broken.png").write_bytes(b"not a picture")
    done = ue("protect", photos, "--method", "pue", people=True)
    assert done.code == 2
    assert "at least two classes, got 2 of 1" in done.err and "--method csd" in done.err
    assert not photos.with_name("photos-protected").exists()
    assert not list((tmp_path / "home" / "collections").glob("*"))


def test_flags_that_a_method_has_no_use_for_are_refused(ue: Ue, photos: Path) -> None:
    done = ue("protect", photos, "--method", "pue", "--space", "texture", people=True)
    assert done.code == 2 and "--space texture was given" in done.err
    assert not photos.with_name("photos-protected").exists()
    for flags in (
        {"method": "em", "gradient": "paper"},
        {"method": "csd", "per": "class"},
        {"method": "pue", "preset": "small"},
        {"method": "em", "surrogate": "moco"},
        {"method": "csd", "contrastive_weight": 1.0},
        {"method": "pue", "csd_weight": 0.0},
    ):
        with pytest.raises(UeError) as caught:
            choose_cells(**flags)
        assert caught.value.code == "flags-clash"


@pytest.mark.parametrize(
    ("choose", "flags", "says"),
    [
        (choose_cells, {"surrogate": "moco"}, "Leave that flag out, or use --method tue."),
        (choose_cells, {"per": "photo"}, "Leave that flag out, or use --method pue, em or tue."),
        (
            choose_cells,
            {"method": "em", "gradient": "paper"},
            "Leave that flag out, or use --method csd or tue.",
        ),
        (choose_method, {"perturbation": "x.pt", "method": "pue"}, "Leave that flag out."),
        (
            choose_method,
            {"rescale": True},
            "Leave that flag out, or name a perturbation with --perturbation.",
        ),
    ],
)
def test_the_hint_speaks_of_the_flag_that_was_given_alone(
    choose: Callable[..., MethodChoice], flags: dict[str, Any], says: str
) -> None:
    with pytest.raises(UeError) as caught:
        choose(**flags)
    assert caught.value.hint == says


def test_what_was_not_asked_for_follows_from_the_method() -> None:
    assert choose_method() == MethodChoice(cells=8)
    assert choose_method("pue") == MethodChoice(method="pue", space="pixel", cells=8)
    assert choose_method("csd", space="pixel") == choose_cells() == MethodChoice(space="pixel")
    found = choose_cells("csd", cells=4, gradient="released")
    assert found == MethodChoice(space="pixel", cells=4, gradient="released")
    assert choose_cells("em", per="photo", cells=2).per == "photo"
    usual = MethodChoice(
        method="tue",
        space="pixel",
        per="photo",
        preset="small",
        surrogate="simclr",
        contrastive_weight=1.0,
        csd_weight=1.0,
    )
    assert choose_method("tue") == usual
    assert choose_cells("tue", preset="paper").csd_weight == 0.1
    assert choose_cells("tue", gradient="released").gradient == "released"
    found = choose_cells("tue", surrogate="moco", contrastive_weight=0, csd_weight=2.5)
    assert found == replace(usual, surrogate="moco", contrastive_weight=0, csd_weight=2.5)


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (
            {"csd_weight": -1.0},
            "method-weights",
            "CSD must be from 0 to 1,000,000, got -1",
        ),
        (
            {"contrastive_weight": math.inf},
            "method-weights",
            "contrastive loss must be .*, got inf",
        ),
        ({"csd_weight": math.nan}, "method-weights", "got nan"),
        ({"csd_weight": 1e300}, "method-weights", "to 1,000,000, got 1e.300"),
        ({"contrastive_weight": 0, "csd_weight": 0}, "method-weights", "nothing to optimise"),
    ],
)
def test_what_tue_cannot_do_is_refused(flags: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(UeError, match=says) as caught:
        choose_cells("tue", **flags)
    assert caught.value.code == code
