from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.certificates.budget import certify
from ue_cli.report import (
    Certification,
    Labels,
    Report,
    Statements,
    write_certificate,
    write_report,
)
from ue_cli.report.digest import ROWS
from ue_cli.report.markup import tag, visible
from ue_cli.report.values import plain
from ue_cli.types import Budget, FileRecord, Skipped


class Page(HTMLParser):
    """What a browser would see: elements, attributes, and text outside of them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


ALLOWED = set(
    "html head meta link title style body div main header nav section p strong span h1 h2 h3 h4 a "
    "ul li dl dt dd figure figcaption img table thead tbody tr th td small code details summary "
    "colgroup svg rect line path polygon circle text".split()
)


RECORD_KEYS = (
    "name output label route route_reason width height linf linf_limit linf_encoding mean_abs mse "
    "sha256 bytes_in bytes_out jod carried strength removed notes"
)


def check_safe(source: str) -> Page:
    """No element, attribute or address that a string could have smuggled in."""
    page = Page(source)
    assert not page.open
    assert set(page.tags) <= ALLOWED
    for element, name, value in page.attributes:
        assert not name.startswith("on") and name != "style", (element, name)
        if name == "src":
            assert value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
        if name == "href":
            assert value == "data:," or value.startswith("#")
    return page


def both(folder: Path) -> tuple[dict[str, object], str]:
    raw = (folder / "report.json").read_bytes().decode()
    return json.loads(raw), (folder / "report.html").read_bytes().decode()


def test_the_folder_is_private_and_holds_two_files(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    folder = tmp_path / "deep" / "photos.report"
    write_report(report, records, folder)
    write_report(report, records, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    folder.chmod(0o755)
    write_report(report, records, folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_json_has_a_frozen_schema(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    write_report(report, records, tmp_path)
    data, _ = both(tmp_path)
    assert data["schema"] == "ue-report/1"
    assert (
        list(data)
        == (
            "schema created versions source output device method collection decoder labels budget "
            "fidelity counts skipped cautions effect public transformations gain "
            "certify_command evaluate_command pictures certificate evaluation files routes "
            "removed bytes_in bytes_out"
        ).split()
    )
    files = data["files"]
    assert isinstance(files, list) and len(files) == 3
    assert list(files[0]) == RECORD_KEYS.split()
    assert isinstance(data["budget"], dict) and data["budget"]["passed"] is True
    assert data["removed"] == {"EXIF thumbnail": 1, "motion-photo trailer": 1}
    assert data["routes"] == [
        {"route": "jpeg-coefficients", "reason": "", "files": 1},
        {"route": "lossless", "reason": "arithmetic coding", "files": 1},
        {"route": "jpeg-reencoded", "reason": "", "files": 1},
    ]


def test_the_owners_proof_and_strange_bytes_stay_out_of_both_files(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    write_report(report, records, tmp_path)
    data, page = both(tmp_path)
    assert records[0].original_hmac not in page + json.dumps(data)
    files = data["files"]
    assert isinstance(files, list)
    assert files[1]["name"] == visible(records[1].name)
    assert files[1]["name"].endswith("\\x80.jpg")


def test_json_holds_no_infinity(report: Report) -> None:
    found = report.fidelity
    assert found is not None
    assert plain(replace(found.median, psnr=float("inf")))["psnr"] is None


def test_the_page_says_what_was_and_was_not_measured(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    write_report(report, records, tmp_path)
    page = check_safe(both(tmp_path)[1])
    for sentence in (
        "Do not publish:",
        "3 photos protected, every one within the budget.",
        "Passed.",
        "10.00 JOD in the median, 9.62 at the least (birds/c.jpg)",
        "Look for it in smooth skies",
        "1 file too faint to count as protected",
        "Measured on 2 of 9 photos",
        "no victim was trained on them",
        "Benchmark <files>",
        "500 pairs restore 84 to 94 %",
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
    assert page.tags.count("img") == 6


def test_a_broken_budget_is_the_headline(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    files = [*records, replace(records[0], name="too/far.jpg", linf=11)]
    write_report(replace(report, budget=certify(files, Budget(8))), files, tmp_path)
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
        thumbnails=(),
        flat_crops=(),
        cautions=(),
        effect=None,
        labels=Labels("single", "there is one folder.", {}),
    )
    write_report(empty, [], tmp_path)
    data, source = both(tmp_path)
    text = check_safe(source).text
    assert data["files"] == []
    assert "No photo was protected." in text and "Fidelity was not measured" in text


def test_the_policy_admits_its_own_style_sheet_and_pictures_only(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    write_report(report, records, tmp_path)
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
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    total = ROWS + 700

    def many() -> Iterator[FileRecord]:
        for i in range(total):
            yield replace(records[0], name=f"birds/{i:05}.jpg")

    write_report(report, many(), tmp_path)
    data, source = both(tmp_path)
    files = data["files"]
    assert isinstance(files, list) and len(files) == total
    text = check_safe(source).text
    assert f"{ROWS - 1:05}.jpg" in text and f"{ROWS:05}.jpg" not in text
    assert "And 700 more, all in report.json." in text


def test_an_interrupted_report_leaves_the_old_one_whole(
    tmp_path: Path, report: Report, records: list[FileRecord]
) -> None:
    write_report(report, records, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def breaks() -> Iterator[FileRecord]:
        yield records[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(report, breaks(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@settings(deadline=None, max_examples=25)
@given(s=st.text(st.characters(), min_size=1, max_size=60))
def test_no_string_gets_out_of_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    report: Report,
    records: list[FileRecord],
    certification: Certification,
    s: str,
) -> None:
    folder = tmp_path_factory.mktemp("report")
    files = [replace(records[0], name=s, output=s, label=s, route=s, route_reason=s, notes=(s,))]
    sample = replace(
        report,
        budget=certify(files, Budget(8)),
        thumbnails=(replace(report.thumbnails[0], name=s),),
        source=s,
        output=s,
        method={s: s},
        skipped=(Skipped(s, s, s),),
        labels=Labels(s, s, {s: 1}),
        counts={s: 1},
        certify_command=s,
        evaluate_command=s,
    )
    write_report(sample, files, folder)
    data, source = both(folder)
    assert visible(s) in check_safe(source).text
    assert data["source"] == plain(s)
    told = replace(
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
    write_certificate(folder, told)
    assert not (folder / "certificate.html").exists(), "the string hid the page's own marks"
    assert visible(s) in check_safe(both(folder)[1]).text


def test_attributes_are_escaped_and_void_elements_closed() -> None:
    assert tag("img", alt='"><script>') == '<img alt="&quot;&gt;&lt;script&gt;">'
    assert tag("p", tag("b", "<"), "&", class_="x") == '<p class="x"><b>&lt;</b>&amp;</p>'
