"""A certificate finds its place in a report, and the rest of the report stays as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.report.test_report_write import check_safe
from ue_cli.report import (
    CERTIFICATE_FILE,
    Certification,
    Report,
    read_certificate,
    read_collection,
    write_certificate,
    write_report,
)
from ue_cli.report.certification import dump, load
from ue_cli.report.markup import region, replace_region, text
from ue_cli.types import FileRecord

REGIONS = ("style", "promise", "learnability")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without_regions(page: bytes) -> bytes:
    for name in REGIONS:
        start, end = f"<!-- section {name} -->".encode(), f"<!-- end of section {name} -->".encode()
        assert page.count(start) == page.count(end) == 1
        page = re.sub(re.escape(start) + b".*?" + re.escape(end), b"", page, flags=re.DOTALL)
    return page


def test_an_update_leaves_everything_else_as_it_was(
    tmp_path: Path, report: Report, records: list[FileRecord], certification: Certification
) -> None:
    write_report(report, records, tmp_path)
    before = contents(tmp_path)
    write_certificate(tmp_path, certification)
    after = contents(tmp_path)
    assert sorted(after) == ["certificate.json", "report.html", "report.json"]
    assert without_regions(before["report.html"]) == without_regions(after["report.html"])
    lines = [before["report.json"].split(b"\n"), after["report.json"].split(b"\n")]
    changed = [(a, b) for a, b in zip(*lines, strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0][0] == b' "certificate": null,'
    page = check_safe(after["report.html"].decode())
    assert "A gap of 30.6 points." in page.text
    gone = "was not measured in this run"
    assert gone.encode() in before["report.html"] and gone not in page.text
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_updating_is_the_same_as_writing_at_once_and_again_changes_nothing(
    tmp_path: Path, report: Report, records: list[FileRecord], certification: Certification
) -> None:
    write_report(replace(report, certification=certification), records, tmp_path / "at once")
    write_report(report, records, tmp_path / "updated")
    write_certificate(tmp_path / "updated", replace(certification, runs_reason="Older."))
    write_certificate(tmp_path / "updated", certification)
    updated = contents(tmp_path / "updated")
    assert updated.pop(CERTIFICATE_FILE).decode() == dump(certification)
    assert updated == contents(tmp_path / "at once")
    write_certificate(tmp_path / "updated", certification)
    assert contents(tmp_path / "updated").items() >= updated.items()


def test_the_certificate_is_read_back_as_it_was(
    tmp_path: Path, certification: Certification
) -> None:
    write_certificate(tmp_path / "new", certification)
    found = read_certificate(tmp_path / "new")
    # The one thing that is lost: a byte that is not UTF-8 is spelled out.
    assert found is not None and found.dataset.endswith("\\x80.jpg")
    assert replace(found, dataset="", measured=certification.measured) == replace(
        certification, dataset=""
    )
    assert found.measured.smoothed == certification.measured.smoothed
    assert found.measured.runs == certification.measured.runs


def test_the_certificate_has_a_frozen_schema_with_every_count(
    certification: Certification,
) -> None:
    data = json.loads(dump(certification))
    assert data["schema"] == "ue-certificate/1"
    assert (
        list(data)
        == (
            "schema measured dataset when code_version command output_sha256 chance statements "
            "intervals interval_confidence runs_verdict runs_sentence runs_reason "
            "runs_not_covered not_covered"
        ).split()
    )
    measured = data["measured"]
    assert (
        list(measured)
        == (
            "smoothed runs train_files test_files test_source device recipe data_sha256 seconds"
        ).split()
    )
    smoothed = measured["smoothed"][0]
    assert (
        list(smoothed)
        == (
            "setting protected control max_eta training_distance sigma_rule recovery verdict reason"
        ).split()
    )
    assert list(smoothed["setting"]) == "sigma draws q confidence scaling".split()
    assert (
        list(smoothed["control"])
        == (
            "arm training correct fit weight_norm counts bounds simultaneous population lower "
            "sha256"
        ).split()
    )
    assert smoothed["control"]["counts"] == {
        "correct": [100 + i % 7 for i in range(30)],
        "tests": 500,
    }
    assert smoothed["protected"]["bounds"][-1] == {
        "eta": 1.0,
        "quantile": 0.999,
        "rank": None,
        "upper": None,
    }
    assert (
        list(measured["runs"])
        == (
            "runs q confidence tests protected control protected_fit control_fit upper "
            "control_lower protected_best distribution"
        ).split()
    )


def test_report_json_has_the_summary_without_the_counts(
    tmp_path: Path, report: Report, certification: Certification
) -> None:
    write_report(report, [], tmp_path)
    write_certificate(tmp_path, certification)
    found = json.loads((tmp_path / "report.json").read_bytes())["certificate"]
    assert (
        list(found)
        == (
            "file when code_version output_sha256 data_sha256 test_files runs smoothed not_covered"
        ).split()
    )
    assert (
        list(found["runs"])
        == ("verdict sentence reason not_covered runs q confidence upper control_lower").split()
    )
    smoothed = found["smoothed"][0]
    assert (
        list(smoothed)
        == (
            "training sigma draws q confidence scaling verdict reason max_eta accuracy "
            "control_accuracy control_lower recovery bounds simultaneous population statements"
        ).split()
    )
    assert smoothed["bounds"][-1] == {"eta": 1.0, "protected": None, "control": None}
    assert "counts" not in json.dumps(found)


def test_other_peoples_data_gets_a_page_of_its_own(
    tmp_path: Path, certification: Certification
) -> None:
    folder = tmp_path / "deep" / "data.report"
    write_certificate(folder, replace(certification, output_sha256=None))
    assert sorted(contents(folder)) == ["certificate.html", "certificate.json"]
    assert folder.stat().st_mode & 0o777 == 0o700
    page = check_safe((folder / "certificate.html").read_text("utf-8"))
    assert "A gap of 30.6 points." in page.text
    assert "Do not publish" not in page.text


def test_a_report_without_a_place_for_it_is_left_alone(
    tmp_path: Path, report: Report, certification: Certification
) -> None:
    write_report(report, [], tmp_path)
    page = tmp_path / "report.html"
    marked = page.read_bytes()
    for damaged in (
        marked.replace(b"<!-- section promise -->", b""),
        marked.replace(b"<!-- section promise -->", b"<!-- section promise -->" * 2),
        b"\xff" + marked,
        b"",
    ):
        page.write_bytes(damaged)
        before = contents(tmp_path)
        write_certificate(tmp_path, certification)
        after = contents(tmp_path)
        assert after["report.html"] == damaged
        assert after["report.json"] == before["report.json"]
        assert "certificate.html" in after
    page.write_bytes(marked)
    write_certificate(tmp_path, certification)
    assert not (tmp_path / "certificate.html").exists()


@pytest.mark.parametrize("at", ["certificate.json", "report.json", "report.html"])
def test_an_interrupted_update_leaves_every_file_whole(
    tmp_path: Path,
    report: Report,
    records: list[FileRecord],
    certification: Certification,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    write_report(report, records, tmp_path)
    write_certificate(tmp_path, certification)
    before = contents(tmp_path)
    newer = replace(certification, runs_reason="Newer.")
    rename = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_certificate(tmp_path, newer)
    monkeypatch.undo()
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert after[at] == before[at] and after["report.html"] == before["report.html"]
    write_certificate(tmp_path, newer)
    assert b"Newer." in contents(tmp_path)["report.html"]


def changed(certification: Certification, *keys: str | int, to: Any) -> str:
    data = json.loads(dump(certification))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return json.dumps(data)


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("schema",), "ue-certificate/2"),
        (("when",), 7),
        (("when",), None),
        (("chance",), "0.1"),
        (("chance",), True),
        (("chance",), 10**400),
        (("new",), 1),
        (("statements",), []),
        (("intervals",), {}),
        (("runs_verdict",), "splendid"),
        (("runs_verdict",), None),
        (("measured", "runs"), None),
        (("measured", "runs", "protected"), []),
        (("measured", "runs", "protected_fit"), [0.5]),
        (("measured", "runs", "control_fit"), [0.5]),
        (("measured", "smoothed", 0, "protected", "counts", "tests"), 0),
        (("measured", "smoothed", 0, "protected", "bounds", 0), {}),
        (("measured", "smoothed", 0, "protected", "bounds", 0, "upper"), float("nan")),
        (("measured", "smoothed", 0, "setting", "scaling"), 5),
        (("intervals", "a" * 64), [0.1]),
    ],
)
def test_a_damaged_certificate_is_none(
    tmp_path: Path, certification: Certification, keys: tuple[str | int, ...], to: Any
) -> None:
    damaged = changed(certification, *keys, to=to)
    with pytest.raises(ValueError):
        load(damaged)
    (tmp_path / CERTIFICATE_FILE).write_text(damaged)
    assert read_certificate(tmp_path) is None


@pytest.mark.parametrize("content", ["", "7", "[]", "{", "[" * 100_000, "\x00"])
def test_what_is_no_certificate_is_none(tmp_path: Path, content: str) -> None:
    assert read_certificate(tmp_path) is None
    (tmp_path / CERTIFICATE_FILE).write_text(content)
    assert read_certificate(tmp_path) is None


def test_no_text_can_look_like_a_mark() -> None:
    hostile = "<!-- section learnability --><!-- end of section learnability -->"
    page = region("learnability", hostile) + text(hostile)
    assert "<!-- section" not in text(hostile)
    new = replace_region(page, "learnability", "<new>")
    assert new == region("learnability", "<new>") + text(hostile)
    with pytest.raises(ValueError, match="'other'"):
        replace_region(page, "other", "")
    swapped = "<!-- end of section a --><!-- section a -->"
    with pytest.raises(ValueError, match="ends before"):
        replace_region(swapped, "a", "")


def test_a_report_says_which_collection_it_is_about(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    assert read_collection(tmp_path) is None
    write_report(report, records, tmp_path)
    assert read_collection(tmp_path) == "7f3a-91c2"
    for damaged in ("", "[]", ' "collection": 7,\n', ' "collection": "ab'):
        (tmp_path / "report.json").write_text(damaged)
        assert read_collection(tmp_path) is None
