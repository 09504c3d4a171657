from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.pages import Page, check_safe
from ue_cli.certificates.budget import certify
from ue_cli.report import (
    Album,
    Certification,
    Labels,
    Picture,
    Report,
    Statements,
    tally,
    write_certificate,
    write_report,
)
from ue_cli.report.folder import ROWS
from ue_cli.report.values import plain
from ue_cli.report.words import visible
from ue_cli.types import Budget, FileRecord, Skipped

RECORD_KEYS = (
    "name output label route route_reason width height linf linf_limit linf_encoding mean_abs mse "
    "sha256 bytes_in bytes_out jod carried strength removed notes"
)


def both(folder: Path) -> tuple[dict[str, object], str]:
    raw = (folder / "report.json").read_bytes().decode()
    return json.loads(raw), (folder / "report.html").read_bytes().decode()


def test_the_folder_is_private_and_holds_three_files(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    folder = tmp_path / "deep" / "photos.report"
    write_report(folder, report, album, records)
    write_report(folder, report, album, records)
    assert sorted(path.name for path in folder.iterdir()) == [
        "pictures.json",
        "report.html",
        "report.json",
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    folder.chmod(0o755)
    write_report(folder, report, album, records)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_json_has_a_frozen_schema(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    write_report(tmp_path, report, album, records)
    data, _ = both(tmp_path)
    assert data["schema"] == "ue-report/2"
    assert (
        list(data)
        == (
            "schema created versions source output output_sha256 device method collection "
            "decoder labels budget fidelity counts skipped cautions tally public certify_command "
            "evaluate_command gain files"
        ).split()
    )
    files = data["files"]
    assert isinstance(files, list) and len(files) == 3
    assert list(files[0]) == RECORD_KEYS.split()
    assert isinstance(data["budget"], dict) and data["budget"]["passed"] is True
    assert data["tally"] == {
        "routes": [
            {"route": "jpeg-coefficients", "reason": "", "files": 1},
            {"route": "lossless", "reason": "arithmetic coding", "files": 1},
            {"route": "jpeg-reencoded", "reason": "", "files": 1},
        ],
        "removed": {"EXIF thumbnail": 1, "motion-photo trailer": 1},
        "stripped": 1,
        "bytes_in": 300_000,
        "bytes_out": 309_000,
    }


def test_the_owners_proof_and_strange_bytes_stay_out_of_both_files(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    write_report(tmp_path, report, album, records)
    data, page = both(tmp_path)
    assert records[0].original_hmac not in page + json.dumps(data)
    files = data["files"]
    assert isinstance(files, list)
    assert files[1]["name"] == visible(records[1].name)
    assert files[1]["name"].endswith("\\x80.jpg")


def test_json_holds_no_infinity() -> None:
    assert plain({"seconds": float("inf")}) == {"seconds": None}


def test_the_page_says_what_was_and_was_not_measured(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    write_report(tmp_path, report, album, records)
    page = check_safe(both(tmp_path)[1])
    for sentence in (
        "Do not publish:",
        "2 photos protected, every one within the budget.",
        "1 more is too faint to count",
        "Passed.",
        "10.00 JOD in the median, 9.62 at the least (birds/c.jpg)",
        "1 file too faint to count as protected",
        "Measured on 2 of 9 photos",
        "Not measured: ue evaluate",
        "Nothing is certified: ue certify",
        "None of these was tried on your files.",
        "9.41 JOD",
        "There is only one class.",
        "Add another folder.",
        "Written lossless: arithmetic coding",
        "EXIF thumbnail (1)",
        "31 levels",
        "7f3a-91c2",
        visible(records[1].name),
        "<b>bold</b>",
        "<i>noted</i>",
    ):
        assert sentence in page.text, sentence
    assert "invisible" not in page.text.lower()
    assert page.tags.count("img") == 9, "before, after and difference, and those of one crop"


def test_a_broken_budget_is_the_headline(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    files = [*records, replace(records[0], name="too/far.jpg", linf=11)]
    write_report(tmp_path, replace(report, budget=certify(files, Budget(8))), album, files)
    data, source = both(tmp_path)
    text = check_safe(source).text
    assert "1 of 4 photos exceed the budget." in text
    assert "Do not publish them" in text
    assert "too/far.jpg" in text
    assert isinstance(data["budget"], dict) and data["budget"]["passed"] is False


def test_nothing_protected_is_still_a_report(tmp_path: Path, report: Report) -> None:
    empty = replace(
        report,
        budget=certify([], Budget(8)),
        fidelity=None,
        cautions=(),
        tally=tally([]),
        labels=Labels("single", "there is one folder.", {}),
    )
    write_report(tmp_path, empty, Album(()), [])
    data, source = both(tmp_path)
    text = check_safe(source).text
    assert data["files"] == []
    assert "No photo was protected." in text and "Fidelity was not measured" in text


def test_the_policy_admits_its_own_style_sheet_and_pictures_only(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    write_report(tmp_path, report, album, records)
    source = both(tmp_path)[1]
    style = source.split("<style>")[1].split("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = next(v for _, name, v in Page(source).attributes if name == "content" and "src" in v)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "http://" not in source and "https://" not in source and "url(" not in style


def test_any_number_of_files_streams_through(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    total = ROWS + 700

    def many() -> Iterator[FileRecord]:
        for i in range(total):
            yield replace(records[0], name=f"birds/{i:05}.jpg")

    counted = replace(report, budget=replace(report.budget, files=total))
    write_report(tmp_path, counted, album, many())
    data, source = both(tmp_path)
    files = data["files"]
    assert isinstance(files, list) and len(files) == total
    text = check_safe(source).text
    assert f"{ROWS - 1:05}.jpg" in text and f"{ROWS:05}.jpg" not in text
    assert "And 700 more, all in report.json." in text


def test_an_interrupted_report_leaves_the_old_one_whole(
    tmp_path: Path, report: Report, album: Album, records: list[FileRecord]
) -> None:
    write_report(tmp_path, report, album, records)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def breaks() -> Iterator[FileRecord]:
        yield records[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, report, album, breaks())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@settings(deadline=None, max_examples=25)
@given(s=st.text(st.characters(), min_size=1, max_size=60))
def test_no_string_gets_out_of_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    report: Report,
    album: Album,
    records: list[FileRecord],
    certification: Certification,
    s: str,
) -> None:
    folder = tmp_path_factory.mktemp("report")
    files = [replace(records[0], name=s, output=s, label=s, route=s, route_reason=s, notes=(s,))]
    sample = replace(
        report,
        budget=certify(files, Budget(8)),
        tally=tally(files),
        source=s,
        output=s,
        method={s: s},
        skipped=(Skipped(s, s, s),),
        labels=Labels(s, s, {s: 1}),
        counts={s: 1},
        certify_command=s,
        evaluate_command=s,
    )
    whole = album.pictures[0].whole
    write_report(folder, sample, Album((Picture(s, 9.5, whole, whole),)), files)
    data, source = both(folder)
    assert " ".join(visible(s).split()) in check_safe(source).text
    assert data["source"] == plain(s)
    hostile = replace(
        certification,
        dataset=s,
        when=s,
        code_version=s,
        command=s,
        statements=(Statements(s, s, s),),
        runs_sentence=s,
        runs_reason=s,
        not_covered=(s,),
    )
    write_certificate(folder, hostile)
    assert " ".join(visible(s).split()) in check_safe(both(folder)[1]).text
