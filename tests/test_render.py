"""What people read of an evaluation."""

from __future__ import annotations

from pathlib import Path

from ue_cli.pipeline.evaluation.evaluate import EvaluateResult
from ue_cli.pipeline.evaluation.judge import training
from ue_cli.render import evaluate_rows
from ue_cli.report import Evaluation, Headline
from ue_cli.types import EffectCell, EffectReport, EffectVerdict, Training

TESTS = 100


def evaluation(control: int | None, alone: int | None) -> Evaluation:
    def reached(right: int | None) -> tuple[Training, ...]:
        if right is None:
            return ()
        return (training(0, (right + 5, right), tests=TESTS, fitted=9, trained=10),)

    lower = None if control is None else 0.5
    verdict: EffectVerdict = "inconclusive" if control is None else "not-shown"
    cell = EffectCell(
        "small",
        "none",
        50,
        reached(40),
        reached(control),
        reached(alone),
        "",
        0.6,
        lower,
        verdict,
        "because",
    )
    measured = EffectReport((cell,), TESTS, 80, 10, 0.1, 0.95, "", None, "CPU", "", 1.0)
    return Evaluation(
        measured,
        (Headline(50, verdict, 0, "It is so."),),
        {},
        {},
        (),
        "The rule.",
        (),
        "photos",
        "",
        "",
        "",
        None,
    )


def told(found: Evaluation | None) -> tuple[dict[str, str], dict[str, list[str]]]:
    result = EvaluateResult((("small", "none", 50),), 3, 2, 61.4, found, Path("r"), ())
    rows, lists = evaluate_rows(result)
    return dict(rows), dict(lists)


def test_each_cell_has_its_control_and_what_its_clean_files_give_alone() -> None:
    rows, lists = told(evaluation(60, 35))
    assert rows["50 % protected"] == "It is so." and rows["Keep private"] == "r"
    assert lists["Cells"] == [
        "small, none, 50 %: 40.0 %, best epoch 45.0 %; control 60.0 %, clean files alone 35.0 %; "
        "not shown"
    ]
    assert lists["Rule"] == ["The rule."]


def test_without_a_control_that_is_said() -> None:
    (line,) = told(evaluation(None, None))[1]["Cells"]
    assert "control none: without the originals" in line and "alone" not in line


def test_a_dry_run_names_the_cells_and_the_time() -> None:
    rows, lists = told(None)
    assert rows == {"Would train": "2 of 3 trainings", "Estimate": "61 s"}
    assert lists["Cells"] == ["small, none, 50 % protected"]
