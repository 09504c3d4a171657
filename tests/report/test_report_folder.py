"""The page is rendered whole from the JSON beside it, whichever command wrote last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.report.pages import check_safe
from ue_cli.report import (
    CERTIFICATE_FILE,
    Album,
    Certification,
    Evaluation,
    Report,
    read_certificate,
    read_report,
    write_certificate,
    write_evaluation,
    write_report,
)
from ue_cli.report.folder import SCHEMAS, dump, read_pictures
from ue_cli.report.page import render
from ue_cli.report.values import load_as
from ue_cli.types import FileRecord


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path, report: Report, album: Album, records: list[FileRecord]) -> Path:
    """A report's folder, before anything was certified or evaluated."""
    write_report(tmp_path, report, album, records)
    return tmp_path


def test_the_order_of_the_commands_does_not_matter_and_again_gives_the_same_page(
    tmp_path: Path,
    report: Report,
    album: Album,
    records: list[FileRecord],
    certification: Certification,
    evaluation: Evaluation,
) -> None:
    steps: tuple[Callable[[Path], None], ...] = (
        lambda to: write_report(to, report, album, records),
        lambda to: write_certificate(to, certification),
        lambda to: write_evaluation(to, evaluation),
    )
    for first in range(3):
        for step in (*steps[first:], *steps[:first]):
            step(tmp_path / str(first))
    written = contents(tmp_path / "0")
    assert written == contents(tmp_path / "1") == contents(tmp_path / "2")
    names = ["certificate.json", "evaluation.json", "pictures.json", "report.html", "report.json"]
    assert sorted(written) == names
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "0").iterdir())
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in names:
        if name != "report.html":
            (copy / name).write_bytes(written[name])
    assert render(copy).encode() == written["report.html"], "the JSON is all that it takes"


def test_the_sections_come_in_the_order_in_which_an_owner_asks(
    folder: Path,
    certification: Certification,
    evaluation: Evaluation,
) -> None:
    bare = check_safe(render(folder))
    write_certificate(folder, certification)
    write_evaluation(folder, evaluation)
    page = check_safe(render(folder))
    order = ["look", "budget", "worth", "certified", "limits", "warnings", "files", "origin"]
    for either in (bare, page):
        sections = [v for tag, name, v in either.attributes if (tag, name) == ("section", "id")]
        assert sections == order
        assert ("meta", "content", "width=device-width, initial-scale=1") in either.attributes
    for sentence in ("Not measured: ue evaluate", "Nothing is certified: ue certify"):
        assert sentence in bare.text and sentence not in page.text
    for sentence in ("A gap of 30.6 points.", "The worst case is <u>.", "What was tried on your"):
        assert sentence in page.text and sentence not in bare.text
    assert "nothing here says how well they are protected" in bare.text
    assert "nothing here says" not in page.text


def test_the_worst_photos_come_first(folder: Path, album: Album) -> None:
    text = check_safe(render(folder)).text
    assert text.index("9.41 JOD, a/<img") < text.index("The others") < text.index("9.80 JOD, b.jpg")
    assert [picture.jod for picture in read_pictures(folder).pictures] == [9.41, 9.8]
    assert read_pictures(folder).pictures[1] == album.pictures[1]
    (folder / "pictures.json").write_text("{")
    assert check_safe(render(folder)).tags.count("img") == 0


def test_the_numbers_on_the_page_are_those_in_the_json(
    folder: Path,
    certification: Certification,
    evaluation: Evaluation,
) -> None:
    write_certificate(folder, certification)
    write_evaluation(folder, evaluation)
    names = ("report.json", "certificate.json", "evaluation.json")
    saved, certificate, effect = (json.loads((folder / name).read_text()) for name in names)
    budget, runs = saved["budget"], certificate["measured"]["runs"]
    cell = effect["measured"]["cells"][effect["headlines"][0]["worst"]]
    tests = effect["measured"]["tests"]
    best = max(max(training["correct"]) for training in cell["protected"])
    control = min(training["correct"][-1] for training in cell["control"])
    assert check_safe(render(folder)).values == [
        str(budget["files"] - budget["faint_count"]),
        f"{budget['jod_median']:.2f}",
        f"{budget['linf']:g}",
        f"{budget['mean_abs']:.2f}",
        f"{100 * best / tests:.1f} %",
        f"{100 * control / tests:.1f} %",
        "Weak",
        f"{100 * runs['upper']:.1f} %",
        f"{100 * runs['control_lower']:.1f} %",
        "Informative",
        "24.5 %",  # rounded up, so that the bound holds as printed
        "66.3 %",
        "Informative",
    ]
    # A number that is changed in the JSON changes on the page.
    text = (folder / "report.json").read_text()
    (folder / "report.json").write_text(text.replace('"jod_median": 10.0', '"jod_median": 9.87'))
    assert "9.87 JOD in the median" in check_safe(render(folder)).text


def test_what_is_about_other_files_is_left_out_and_that_is_said(
    folder: Path,
    certification: Certification,
    evaluation: Evaluation,
) -> None:
    write_certificate(folder, replace(certification, output_sha256="0" * 64))
    write_evaluation(folder, replace(evaluation, output_sha256=None))
    text = check_safe(render(folder)).text
    assert "certificate.json of 2026-01-02T04:05:06+00:00 is about other files" in text
    assert "evaluation.json of 2026-01-03T04:05:06+00:00 is about other files" in text
    assert "A gap of 30.6 points." not in text and "The worst case is <u>." not in text


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"schema": 7}'])
def test_a_damaged_report_is_left_out(
    tmp_path: Path, evaluation: Evaluation, content: bytes
) -> None:
    (tmp_path / "report.json").write_bytes(content)
    write_evaluation(tmp_path, evaluation)
    assert read_report(tmp_path) is None
    page = check_safe((tmp_path / "report.html").read_text("utf-8"))
    assert "The worst case is <u>." in page.text and "Do not publish" not in page.text
    assert "report.json cannot be read" in page.text
    assert (tmp_path / "report.json").read_bytes() == content


def test_a_report_is_read_back_as_it_was(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    readable = replace(report, skipped=(), certify_command="", evaluate_command="")
    write_report(tmp_path, readable, album, records[:1])
    assert read_report(tmp_path) == (readable, (replace(records[0], original_hmac=""),))
    lines = (tmp_path / "report.json").read_text().replace('"width": 640', '"width": "640"')
    (tmp_path / "report.json").write_text(lines)
    assert read_report(tmp_path) is None


def test_other_peoples_data_gets_a_page_without_a_report(
    tmp_path: Path, certification: Certification, evaluation: Evaluation
) -> None:
    folder = tmp_path / "deep" / "data.report"
    write_certificate(folder, replace(certification, output_sha256=None))
    assert sorted(contents(folder)) == ["certificate.json", "report.html"]
    assert folder.stat().st_mode & 0o777 == 0o700
    page = check_safe((folder / "report.html").read_text("utf-8"))
    assert "A gap of 30.6 points." in page.text and "Not measured: ue evaluate" in page.text
    assert "Do not publish" not in page.text
    write_evaluation(folder, replace(evaluation, output_sha256=None))
    page = check_safe((folder / "report.html").read_text("utf-8"))
    assert "A gap of 30.6 points." in page.text and "The worst case is <u>." in page.text


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
    data = json.loads(dump(CERTIFICATE_FILE, certification))
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


@pytest.mark.parametrize("at", ["certificate.json", "report.html"])
def test_an_interrupted_update_leaves_every_file_whole(
    tmp_path: Path,
    report: Report,
    album: Album,
    records: list[FileRecord],
    certification: Certification,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    write_report(tmp_path, report, album, records)
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
    data = json.loads(dump(CERTIFICATE_FILE, certification))
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
        load_as(Certification, SCHEMAS[CERTIFICATE_FILE], damaged)
    (tmp_path / CERTIFICATE_FILE).write_text(damaged)
    assert read_certificate(tmp_path) is None
    assert "certificate.json cannot be read" in check_safe(render(tmp_path)).text


@pytest.mark.parametrize("content", ["", "7", "[]", "{", "[" * 100_000, "\x00"])
def test_what_is_no_certificate_is_none(tmp_path: Path, content: str) -> None:
    assert read_certificate(tmp_path) is None
    (tmp_path / CERTIFICATE_FILE).write_text(content)
    assert read_certificate(tmp_path) is None
