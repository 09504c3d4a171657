"""Names, tiers and rows; no torch until one is built."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ue_cli.countermeasures.registry import SPECS, TIERS, build, find, identity, in_tier
from ue_cli.errors import ExitCode, UeError


def test_names_are_distinct_and_every_row_says_what_it_does() -> None:
    names = [spec.name for spec in SPECS]
    assert len(set(names)) == len(names)
    assert all(spec.summary and spec.tier in TIERS for spec in SPECS)


def test_what_is_no_training_has_no_class() -> None:
    assert all(bool(spec.target) == (spec.kind == "training") for spec in SPECS)
    with pytest.raises(ValueError, match="no training of its own: its kind is after"):
        build("recovery")


def test_each_tier_holds_the_ones_before() -> None:
    quick, standard, full = (set(in_tier(tier)) for tier in TIERS)
    assert quick < standard < full == set(SPECS)
    assert {spec.name for spec in quick} == {
        *("none", "early-stopping", "jpeg-50", "grayscale", "rrc-0.35"),
    }


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("jpg-50", "jpeg-50"), ("gray scale", "grayscale"), ("GrayScale", "grayscale")],
)
def test_an_unknown_name_is_answered_with_the_ones_there_are(asked: str, meant: str) -> None:
    with pytest.raises(UeError, match=f"no countermeasure '{asked}'") as refused:
        find(asked)
    assert refused.value.code == "countermeasure-unknown"
    assert refused.value.exit_code == ExitCode.USAGE
    assert refused.value.hint.startswith(f"Did you mean {meant}")
    assert all(spec.name in refused.value.hint for spec in SPECS)


def test_a_name_like_no_other_is_answered_with_the_list_alone() -> None:
    with pytest.raises(UeError) as refused:
        find("?")
    assert refused.value.hint.startswith("There are: none, ")


def test_rows_of_one_class_have_identities_of_their_own() -> None:
    rows = [repr(identity(spec.name)) for spec in SPECS if spec.kind == "training"]
    assert len(set(rows)) == len(rows)


def test_listing_needs_no_torch() -> None:
    probe = (
        "import sys; from ue_cli.countermeasures.registry import find, in_tier;"
        "in_tier('full'); find('ueraser-max'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
