"""What the page says of a certificate, and how its curve is drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest

from tests.report.conftest import surrogate
from tests.report.pages import check_safe, page_of
from ue_cli.report import Certification
from ue_cli.report.charts import Chart, eta_chart
from ue_cli.report.words import visible
from ue_cli.types import EtaBound, LearnabilityCertificate, SurrogateCertificate, Verdict

WORDS = {
    "informative": "Informative",
    "uninformative": "Uninformative",
    "abstain": "Abstains",
    "no-control": "No control",
}


def with_smoothed(
    certification: Certification, certificate: LearnabilityCertificate
) -> Certification:
    measured = replace(certification.measured, smoothed=(certificate,), runs=None)
    return replace(certification, measured=measured, runs_verdict=None)


def without_bounds(arm: SurrogateCertificate) -> SurrogateCertificate:
    def abstaining(bounds: tuple[EtaBound, ...]) -> tuple[EtaBound, ...]:
        return tuple(replace(bound, rank=None, upper=None) for bound in bounds)

    return replace(
        arm,
        bounds=abstaining(arm.bounds),
        simultaneous=abstaining(arm.simultaneous),
        population=abstaining(arm.population),
        lower=None,
    )


def values(certification: Certification) -> list[str]:
    """What is set in large type."""
    return check_safe(page_of(certification)).values


def test_everything_that_was_measured_is_said(certification: Certification) -> None:
    text = check_safe(page_of(certification)).text
    for said in (
        "At least half of such trainings reach at most 41.2 % <sup>.",
        "A gap of 30.6 points.",
        "in 50 % of such trainings, 96.87 % confidence",
        "53.2 %",  # the best epoch of the third training
        "Another recipe.",
        "The control keeps its distance <i>.",
        "One η <u>.",
        "All η.",
        "Unseen ones.",
        "24.2 %",  # A(θ̂) of the protected surrogate, its interval, and the difference
        "20.5 % to 28.3 %",
        "+49.0 points",
        "−0.4 points",
        "41.25",
        "end 33.1 apart",
        "lies outside of what is certified",
        "σ = 0.24, in units of each filter’s own size",
        "<b>largest of the grid</b>",
        "N = 1,234",
        "q = 0.9",
        "0.99 for each statement",
        "0.331, with this N",
        "Running statistics of the unperturbed surrogate",
        "fine-tuned on 320 originals for 20 epochs",
        "27.1 %",  # the attack, above the bound beside it
        "1 of these do",
        "beyond what is certified",
        "a" * 64,
        "b" * 64,
        "d" * 64,
        "e" * 64,
        "0.1.0",
        "30 epochs <script>",
        "Dilution <p>.",
        "ue certify 'photos-protected' --original photos",
        visible(certification.measured.test_source),
    ):
        assert said in text, said


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_is_as_large_as_the_bounds(
    certification: Certification, certificate: LearnabilityCertificate, verdict: Verdict
) -> None:
    found = with_smoothed(certification, replace(certificate, verdict=verdict))
    assert values(found) == ["24.5 %", "66.3 %", WORDS[verdict]]
    trained = replace(certification, runs_verdict=verdict)
    assert values(trained)[:3] == ["41.2 %", "71.8 %", WORDS[verdict]]


def test_an_abstention_is_a_word_and_never_a_number(
    certification: Certification, certificate: LearnabilityCertificate
) -> None:
    assert certificate.control is not None
    nothing = replace(
        certificate,
        protected=without_bounds(certificate.protected),
        control=without_bounds(certificate.control),
        verdict="abstain",
    )
    source = page_of(with_smoothed(certification, nothing))
    assert check_safe(source).values == ["abstains", "abstains", "Abstains"]
    assert "<figure" not in source
    cells = re.findall(r'<td class="num">(.*?)</td>', source.partition("<h4>")[0])
    assert cells == ["abstains"] * 6
    assert "0.01 to 1" in check_safe(source).text
    assert "None %" not in source and ">None<" not in source and "nan" not in source


def bounds_table(
    certification: Certification, certificate: LearnabilityCertificate
) -> dict[str, list[str]]:
    source = page_of(with_smoothed(certification, certificate))
    table = source.partition("<colgroup")[2].partition("</table>")[0]
    rows = [re.findall("<td.*?</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    cells = [[re.sub("<[^>]*>", "", cell) for cell in row] for row in rows]
    return {row[0]: row[1:] for row in cells if row}


def test_the_table_says_the_statements_apart(
    certification: Certification, certificate: LearnabilityCertificate
) -> None:
    alone = replace(certificate, control=None, verdict="no-control")
    table = bounds_table(certification, alone)
    assert table["0.1"] == ["26.3 %", "27.3 %", "29.3 %"]
    assert table["0.3"] == ["30.3 %", "abstains", "abstains"]
    assert table["0.5 to 1"] == ["abstains"] * 3
    both = bounds_table(certification, certificate)
    assert both["0.1"] == ["26.3 %", "70.3 %", "27.3 %", "71.3 %", "29.3 %", "73.3 %"]


def test_without_a_control_none_is_invented(
    certification: Certification, certificate: LearnabilityCertificate
) -> None:
    alone = replace(
        certificate, control=None, verdict="no-control", training_distance=None, recovery=None
    )
    page = check_safe(page_of(with_smoothed(certification, alone)))
    assert page.values == ["24.5 %", "–", "No control"]
    text = page.text
    assert "trained on the originals" not in text
    assert "was not measured" in text
    assert "Not run: it takes clean images" in text
    assert "None were made" in text
    runs = certification.measured.runs
    assert runs is not None
    bare = replace(runs, control=(), control_fit=(), control_lower=None)
    trained = replace(certification, measured=replace(certification.measured, runs=bare))
    assert values(trained)[1] == "–"


def chart_of(certificate: LearnabilityCertificate) -> Chart:
    chart = eta_chart(certificate, 0.1)
    assert chart is not None
    return chart


def corners(chart: Chart) -> dict[str, list[tuple[float, float]]]:
    """The corners of each line, in thousandths of the plot."""
    arms = [line.arm for line in chart.lines]
    assert len(arms) == len(set(arms)), "one line per arm"
    return {
        line.arm: [(float(x), float(y)) for x, y in (c.split() for c in line.path[1:].split(" L"))]
        for line in chart.lines
    }


def test_a_curve_ends_at_the_last_certified_radius(
    certificate: LearnabilityCertificate, certification: Certification
) -> None:
    chart = chart_of(certificate)
    drawn = corners(chart)
    assert list(drawn) == ["protected", "control"]
    for name, base in (("protected", 0.243), ("control", 0.683)):
        line = drawn[name]
        # η = 0.3 is the last; a quarter more of the axis is left to see it end.
        assert line[-1][0] == pytest.approx(800, abs=0.1)
        assert line[0][0] == 0
        assert line[-1][1] == pytest.approx(1000 * (1 - (base + 0.06) / 0.8), abs=0.1)
        # Between two radii it has the height of the larger one, which bounds both.
        assert [y for _, y in line[2:4]] == [line[3][1]] * 2
        assert all(a[1] >= b[1] for a, b in pairwise(line))
    assert [words for _, words in chart.marks] == ["abstains beyond η = 0.3"]
    source = page_of(with_smoothed(certification, certificate))
    paths = dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', source))
    assert paths == {line.arm: line.path for line in chart.lines}
    assert source.count("abstains beyond η = 0.3<") == 1
    assert source.count("<circle") == 2 and "guessing, 10 %" in source


def test_curves_that_end_apart_are_told_apart(certificate: LearnabilityCertificate) -> None:
    short = replace(certificate, control=surrogate("clean", 0.683, reach=0.2))
    chart = chart_of(short)
    assert [words for _, words in chart.marks] == [
        "protected: abstains beyond η = 0.3",
        "control: abstains beyond η = 0.1",
    ]
    assert corners(chart)["control"][-1][0] == pytest.approx(1000 * 0.1 / 0.375, abs=0.1)


def test_a_grid_that_never_abstains_says_where_it_ends(
    certificate: LearnabilityCertificate,
) -> None:
    whole = replace(certificate, protected=surrogate("protected", 0.2, reach=2.0), control=None)
    chart = chart_of(whole)
    assert [words for _, words in chart.marks] == ["grid ends at η = 1"]
    assert "abstains" not in chart.words
    assert list(corners(chart)) == ["protected"]


@pytest.mark.parametrize("scale", [1e-4, 0.01, 1.0, 40.0])
def test_ticks_are_few_and_round(certificate: LearnabilityCertificate, scale: float) -> None:
    protected = certificate.protected
    scaled = tuple(replace(bound, eta=bound.eta * scale) for bound in protected.bounds)
    chart = chart_of(
        replace(certificate, protected=replace(protected, bounds=scaled), control=None)
    )
    ticks = [words for _, words in chart.x_ticks]
    assert 3 <= len(ticks) <= 6 and ticks[0] == "0"
    assert all(len(tick.replace("e-0", "")) <= 6 for tick in ticks)
    steps = {round((float(b) - float(a)) / scale, 6) for a, b in pairwise(ticks)}
    assert len(steps) == 1
