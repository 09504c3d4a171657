"""What the fourth section says of an evaluation, how it is drawn, and where it is kept."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.report.conftest import HOSTILE, TESTS, cell
from tests.report.test_report_update import contents
from tests.report.test_report_write import check_safe
from ue_cli.report import (
    EVALUATION_FILE,
    Certification,
    Evaluation,
    Headline,
    Report,
    read_certificate,
    read_evaluation,
    write_certificate,
    write_evaluation,
    write_report,
)
from ue_cli.report.effect import victims
from ue_cli.report.effectchart import bars, epochs
from ue_cli.report.effectrecord import dump, load
from ue_cli.report.markup import visible
from ue_cli.types import EffectVerdict, Encoding, FileRecord, Training


def test_everything_that_was_measured_is_said(evaluation: Evaluation) -> None:
    text = check_safe(victims(evaluation, "")).text
    for said in (
        "The worst case is <u>.",
        "With half of the files it is worse.",
        "55.4 %",  # what the adversary gets in the worst case
        "at most 59.4 %",
        "78.2 %",  # the worst control
        "at least 75.2 %",
        "78.2–80.0 %",  # last epoch of both seeds of the control
        "98.0–99.0 %",  # their fits
        "60.2–60.6 % 57.2 % to 64.6 %",  # the unprotected half alone
        "50 % of the files protected",
        "because of none <i>",
        "a recipe of none <b>",
        visible(HOSTILE),
        "50 % protected",
        "93.0 %",  # told apart by a linear classifier
        "11.1 % to 22.2 %",
        "1,000 files",
        "A is the upper end <q>.",
        "Not tried, because it needs what was not here: subtraction.",
        "Another network.",
        "Clopper–Pearson, confidence 0.95",
        "They share the test images, so they are not pooled",
        "2,000 files",
        "d" * 64,
        "e" * 64,
        "ue evaluate 'photos-protected' --original photos",
    ):
        assert said in text, said


@pytest.mark.parametrize("verdict", get_args(EffectVerdict))
def test_every_verdict_is_a_word_as_large_as_the_numbers(
    evaluation: Evaluation, verdict: EffectVerdict
) -> None:
    headline = replace(evaluation.headline, verdict=verdict)
    found = victims(replace(evaluation, headlines=(headline,)), "")
    values = re.findall(r'<span class="value">([^<]*)</span>', found)
    assert values == ["55.4 %", "78.2 %", verdict.replace("-", " ").capitalize()]


def test_without_controls_none_is_invented(evaluation: Evaluation) -> None:
    bare = tuple(
        replace(one, control=(), lower=None, verdict="inconclusive", alone=())
        for one in evaluation.measured.cells
    )
    measured = replace(evaluation.measured, cells=bare, detectability=None)
    found = victims(replace(evaluation, measured=measured), "")
    text = check_safe(found).text
    assert re.findall(r'<span class="value">([^<]*)</span>', found)[1] == "–"
    assert (
        "there was no control" in text
        and "linear" not in text.lower()
        and "Clean ones alone" not in text
    )
    assert "<circle" not in found


def test_nothing_evaluated_is_said_with_the_command_that_does_it() -> None:
    assert "no victim was trained on them" in check_safe(victims(None, "")).text
    command = f"ue evaluate {HOSTILE}"
    page = check_safe(victims(None, command))
    assert "no victim was trained on them" in page.text and visible(command) in page.text


def test_a_bar_is_as_long_as_the_accuracy() -> None:
    drawn = bars([("none", cell("none", (150, 233, 91)))], TESTS, 0.1)
    widths = dict(re.findall(r'<rect[^>]*width="([^"]*)" class="(\w+)"', drawn))
    assert widths == {"46.60%": "best", "18.20%": "last"}
    assert 'cx="78.20%"' in drawn
    ends = re.findall(r'<line x1="([^"]*)" x2="([^"]*)" [^>]*class="(\w+)"', drawn)
    assert ("43.60%", "50.60%", "whisker") in ends and ("75.20%", "82.20%", "control") in ends
    assert "none: 46.6 %, control 78.2 %: weak" in drawn


def encoded(one: Training) -> Training:
    """The same counts as an encoder's, read out after epochs 1, 20 and 40."""
    return replace(one, encoding=Encoding(TESTS, (1, 20, 40), 180, 140, 90))


def test_encoders_stand_above_what_they_were_untrained(evaluation: Evaluation) -> None:
    plain, *others = evaluation.measured.cells
    protected, control = ([*map(encoded, arm)] for arm in (plain.protected, plain.control))
    ours = replace(plain, victim="moco", protected=tuple(protected), control=tuple(control))
    of = replace(evaluation, measured=replace(evaluation.measured, cells=(ours, *others)))
    text = check_safe(victims(of, "")).text
    told = text[text.index("Encoders that learned without labels") :]
    shares = "18.2 % untrained 28.0 % 36.0 % untrained 18.0 % 78.2–80.0 % untrained 28.0 %"
    assert f"none, moco, 100 % protected {shares}" in told
    assert "Encoders that learned" not in check_safe(victims(evaluation, "")).text
    assert load(dump(of)).measured.cells[0] == ours
    (drawn, *_) = lines(epochs(ours, TESTS, 0.1))
    assert [round(x) for x, _ in drawn[1]] == [0, 487, 1000]
    with pytest.raises(ValueError, match="counts of test images"):
        late = replace(protected[0], encoding=Encoding(TESTS, (1, 40), 180, 140, 90))
        cells = (replace(ours, protected=(late,)), *others)
        replace(of, measured=replace(of.measured, cells=cells))


def lines(source: str) -> list[tuple[str, list[tuple[float, float]]]]:
    found = re.findall(r'<path class="(\w+)" d="M([^"]*)"', source)
    return [
        (name, [(float(x), float(y)) for x, y in (c.split() for c in d.split(" L"))])
        for name, d in found
    ]


def test_a_line_goes_through_every_epoch_of_every_training() -> None:
    drawn = lines(epochs(cell("none", (150, 250, 100)), TESTS, 0.1))
    assert [name for name, _ in drawn] == ["control", "control", "protected", "protected"]
    assert drawn[-1][1] == [(0, 700), (500, 500), (1000, 800)]
    assert drawn[0][1] == [(0, 600), (500, 300), (1000, 200)]


@pytest.mark.parametrize("last", [2, 3, 10, 30, 167, 300])
def test_the_epochs_have_few_round_ticks(last: int) -> None:
    drawn = epochs(replace(cell("none", (100,) * last), control=()), TESTS, 0.1)
    ticks = [int(t) for t in re.findall(r'text-anchor="middle">([^<]*)<', drawn)]
    assert ticks[0] == 1 and ticks[-1] == last and len(ticks) <= 7
    assert ticks == sorted(set(ticks))


def test_one_epoch_is_no_line() -> None:
    assert epochs(cell("none", (100,)), TESTS, 0.1) == ""


def test_it_is_read_back_as_it_was(tmp_path: Path, evaluation: Evaluation) -> None:
    plain = replace(
        evaluation,
        dataset="photos",
        countermeasures={"none": "train as usual"},
        measured=replace(evaluation.measured, test_source="", cells=evaluation.measured.cells[::2]),
        headlines=(Headline(100, "weak", 1, "Worst."),),
    )
    write_evaluation(tmp_path, plain)
    assert read_evaluation(tmp_path) == plain
    assert (
        list(json.loads(dump(plain)))
        == (
            "schema measured headlines intervals countermeasures left_out rule not_covered dataset "
            "when code_version command output_sha256"
        ).split()
    )
    assert json.loads(dump(plain))["schema"] == "ue-evaluation/1"


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("schema",), "ue-evaluation/2"),
        (("when",), 7),
        (("new",), 1),
        (("headlines",), []),
        (("headlines", 0, "worst"), 3),
        (("headlines", 0, "worst"), -1),
        (("headlines", 0, "verdict"), "splendid"),
        (("measured", "tests"), 0),
        (("measured", "detectability", "detected", "tests"), 0),
        (("measured", "detectability", "detected"), None),
        (("intervals",), {}),
        (("measured", "tests"), 100),
        (("measured", "cells"), []),
        (("measured", "cells", 0, "protected"), []),
        (("measured", "cells", 0, "control"), []),
        (("measured", "cells", 0, "lower"), None),
        (("measured", "cells", 0, "protected", 0, "correct"), []),
        (("measured", "cells", 0, "protected", 0, "correct"), [-1]),
        (("measured", "cells", 0, "protected", 0, "fitted"), 2001),
        (("measured", "cells", 0, "protected", 0, "trained"), 0),
        (("measured", "cells", 0, "protected", 0, "last_interval"), [0.1]),
        (("measured", "chance"), float("nan")),
    ],
)
def test_a_damaged_evaluation_is_none(
    tmp_path: Path, evaluation: Evaluation, keys: tuple[str | int, ...], to: Any
) -> None:
    data = json.loads(dump(evaluation))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    with pytest.raises(ValueError):
        load(json.dumps(data))
    (tmp_path / EVALUATION_FILE).write_text(json.dumps(data))
    assert read_evaluation(tmp_path) is None


def test_it_goes_into_the_report_beside_the_certificate(
    tmp_path: Path,
    report: Report,
    records: list[FileRecord],
    certification: Certification,
    evaluation: Evaluation,
) -> None:
    whole = replace(report, certification=certification, evaluation=evaluation)
    write_report(whole, records, tmp_path / "at once")
    at_once = contents(tmp_path / "at once")
    for order in ("certificate first", "evaluation first"):
        folder = tmp_path / order
        write_report(report, records, folder)
        before = contents(folder)
        steps = [
            lambda to: write_certificate(to, certification),
            lambda to: write_evaluation(to, evaluation),
        ]
        for step in steps if order == "certificate first" else reversed(steps):
            step(folder)
        after = contents(folder)
        assert {name: after[name] for name in before} == at_once
        assert after.keys() - before.keys() == {"certificate.json", "evaluation.json"}
        assert read_certificate(folder) is not None and read_evaluation(folder) is not None
        write_evaluation(folder, evaluation)
        assert contents(folder) == after
    page = check_safe(at_once["report.html"].decode())
    assert page.text.count("The worst case is <u>.") == 2  # at the head, and in its section
    assert "A gap of 30.6 points." in page.text
    found = json.loads(at_once["report.json"])["evaluation"]
    assert (
        list(found)
        == (
            "file when code_version output_sha256 data_sha256 test_files chance confidence "
            "headlines cells detectability left_out rule not_covered"
        ).split()
    )
    assert found["cells"][1]["best"] == [0.554, 0.554]
    assert "correct" not in json.dumps(found["cells"])


def test_other_peoples_data_gets_a_page_of_its_own(
    tmp_path: Path, report: Report, evaluation: Evaluation
) -> None:
    write_evaluation(tmp_path, replace(evaluation, output_sha256=None))
    assert sorted(contents(tmp_path)) == ["evaluation.html", "evaluation.json"]
    page = check_safe((tmp_path / "evaluation.html").read_text("utf-8"))
    assert "The worst case is <u>." in page.text and "Do not publish" not in page.text
    write_report(report, [], tmp_path)
    write_evaluation(tmp_path, evaluation)
    assert not (tmp_path / "evaluation.html").exists()
