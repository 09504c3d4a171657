"""What the page says of an evaluation, how it is drawn, and where it is kept."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.report.conftest import HOSTILE, TESTS, cell
from tests.report.pages import check_safe, page_of
from ue_cli.report import (
    EVALUATION_FILE,
    Evaluation,
    Headline,
    read_evaluation,
    write_evaluation,
)
from ue_cli.report.charts import Chart, epoch_chart
from ue_cli.report.folder import SCHEMAS, dump
from ue_cli.report.values import load_as
from ue_cli.report.words import visible
from ue_cli.types import EffectCell, EffectVerdict, Encoding, Training


def test_everything_that_was_measured_is_said(evaluation: Evaluation) -> None:
    text = check_safe(page_of(evaluation)).text
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
    page = check_safe(page_of(replace(evaluation, headlines=(headline,))))
    assert page.values == ["55.4 %", "78.2 %", verdict.replace("-", " ").capitalize()]


def test_without_controls_none_is_invented(evaluation: Evaluation) -> None:
    bare = tuple(
        replace(one, control=(), lower=None, verdict="inconclusive", alone=())
        for one in evaluation.measured.cells
    )
    measured = replace(evaluation.measured, cells=bare, detectability=None)
    found = page_of(replace(evaluation, measured=measured))
    text = check_safe(found).text
    assert check_safe(found).values[1] == "–"
    assert (
        "there was no control" in text
        and "linear" not in text.lower()
        and "Clean ones alone" not in text
    )
    assert "<circle" not in found


def alone(evaluation: Evaluation, of: EffectCell) -> Evaluation:
    measured = replace(evaluation.measured, cells=(of,))
    return replace(evaluation, measured=measured, headlines=(Headline(100, "weak", 0, ""),))


def test_a_bar_is_as_long_as_the_accuracy(evaluation: Evaluation) -> None:
    drawn = page_of(alone(evaluation, cell("none", (150, 233, 91))))
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
    text = check_safe(page_of(of)).text
    told = text[text.index("Encoders that learned without labels") :]
    shares = "18.2 % untrained 28.0 % 36.0 % untrained 18.0 % 78.2–80.0 % untrained 28.0 %"
    assert f"none, moco, 100 % protected {shares}" in told
    assert "Encoders that learned" not in check_safe(page_of(evaluation)).text
    saved = load_as(Evaluation, SCHEMAS[EVALUATION_FILE], dump(EVALUATION_FILE, of))
    assert saved.measured.cells[0] == ours
    (drawn, *_) = lines(chart_of(ours))
    assert [round(x) for x, _ in drawn[1]] == [0, 487, 1000]
    with pytest.raises(ValueError, match="counts of test images"):
        late = replace(protected[0], encoding=Encoding(TESTS, (1, 40), 180, 140, 90))
        cells = (replace(ours, protected=(late,)), *others)
        replace(of, measured=replace(of.measured, cells=cells))


def chart_of(of: EffectCell) -> Chart:
    chart = epoch_chart(of, TESTS, 0.1)
    assert chart is not None
    return chart


def lines(chart: Chart) -> list[tuple[str, list[tuple[float, float]]]]:
    return [
        (
            line.arm,
            [(float(x), float(y)) for x, y in (c.split() for c in line.path[1:].split(" L"))],
        )
        for line in chart.lines
    ]


def test_a_line_goes_through_every_epoch_of_every_training() -> None:
    drawn = lines(chart_of(cell("none", (150, 250, 100))))
    assert [name for name, _ in drawn] == ["control", "control", "protected", "protected"]
    assert drawn[-1][1] == [(0, 700), (500, 500), (1000, 800)]
    assert drawn[0][1] == [(0, 600), (500, 300), (1000, 200)]


@pytest.mark.parametrize("last", [2, 3, 10, 30, 167, 300])
def test_the_epochs_have_few_round_ticks(last: int) -> None:
    chart = chart_of(replace(cell("none", (100,) * last), control=()))
    ticks = [int(words) for _, words in chart.x_ticks]
    assert ticks[0] == 1 and ticks[-1] == last and len(ticks) <= 7
    assert ticks == sorted(set(ticks))


def test_one_epoch_is_no_line() -> None:
    assert epoch_chart(cell("none", (100,)), TESTS, 0.1) is None


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
        list(json.loads(dump(EVALUATION_FILE, plain)))
        == (
            "schema measured headlines intervals countermeasures left_out rule not_covered dataset "
            "when code_version command output_sha256"
        ).split()
    )
    assert json.loads(dump(EVALUATION_FILE, plain))["schema"] == "ue-evaluation/1"


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
    data = json.loads(dump(EVALUATION_FILE, evaluation))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    with pytest.raises(ValueError):
        load_as(Evaluation, SCHEMAS[EVALUATION_FILE], json.dumps(data))
    (tmp_path / EVALUATION_FILE).write_text(json.dumps(data))
    assert read_evaluation(tmp_path) is None
