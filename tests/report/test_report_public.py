"""What a report says of a public perturbation: whose it is, what its card says, its limits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.conftest import HOSTILE
from tests.report.pages import Page, check_safe
from ue_cli.report import PUBLIC_CAUTION, Album, Caution, PublicNote, Report, write_report
from ue_cli.report.values import plain
from ue_cli.types import FileRecord

NOTE = PublicNote(
    name="hf://o/r@c0ffee/small.safetensors",
    sha256="ab" * 32,
    source="hub",
    chosen=f"small was nearest. {HOSTILE}",
    card="small",
    claims=("30.0 % on <benchmarks>, not on yours.",),
    limits=("Public & <b>known</b>.",),
)


@pytest.fixture
def public(report: Report) -> Report:
    warned = Caution(PUBLIC_CAUTION, "Anyone has it.", "Leave it out.")
    other = Caution("few-images", "There are few.", "Mind.")
    return replace(report, cautions=(warned, other), public=NOTE)


def page(folder: Path, report: Report, records: list[FileRecord]) -> str:
    write_report(folder, report, Album(()), records)
    return check_safe((folder / "report.html").read_text()).text


def test_the_card_stands_beside_the_warning(
    tmp_path: Path, public: Report, records: list[FileRecord]
) -> None:
    text = page(tmp_path, public, records)
    order = (
        "Anyone has it.",
        "What the card of small says",
        "30.0 % on <benchmarks>, not on yours.",
        "Public & <b>known</b>.",
        "small was nearest.",
        "There are few.",
    )
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    said = json.loads((tmp_path / "report.json").read_text())["public"]
    assert said == plain(NOTE)


def test_what_is_not_known_is_said(
    tmp_path: Path, public: Report, records: list[FileRecord]
) -> None:
    unmeasured = replace(public, public=replace(NOTE, claims=(), chosen=""))
    text = page(tmp_path, unmeasured, records)
    assert "Nobody has measured what it does." in text and "Why it was chosen" not in text
    bare = replace(public, public=replace(NOTE, card=None, claims=(), limits=()))
    assert "has no card: nothing is known of its effect" in page(tmp_path, bare, records)


def test_a_secret_one_has_no_card(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    assert report.public is None
    assert "card" not in Page(page(tmp_path, report, records)).text
    assert json.loads((tmp_path / "report.json").read_text())["public"] is None
