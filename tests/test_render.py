"""What people read of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ue_cli.certificates.budget import certify
from ue_cli.evaluation.evaluate import EvaluateResult
from ue_cli.evaluation.judge import training
from ue_cli.protection.results import ProtectResult
from ue_cli.render.files import protect_rows
from ue_cli.render.training import evaluate_rows
from ue_cli.report import Evaluation, Headline, PublicNote
from ue_cli.types import (
    STANDARD,
    STRONG,
    Budget,
    BudgetCertificate,
    EffectCell,
    EffectReport,
    EffectVerdict,
    Look,
    Training,
)

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


def protected(budget: BudgetCertificate | None, look: Look = STANDARD) -> ProtectResult:
    return ProtectResult(
        dry_run=budget is None,
        out=Path("out"),
        report=None,
        fingerprint=None,
        candidates=3,
        fresh=0 if budget is None else budget.files,
        earlier_files=0,
        skipped=(),
        classes=("a",),
        label_rule="",
        label_reason="",
        budget=budget,
        levels=8,
        look=look,
        strict=False,
        routes={},
        cautions=(),
        seconds=0.0,
    )


def test_how_it_looks_and_what_is_too_faint_is_said() -> None:
    found = replace(
        certify([], Budget(8)), files=3, jod_median=9.61, jod_least=9.5, jod_least_file="b\x1b.jpg"
    )
    rows = dict(protect_rows(protected(found))[0])
    assert rows["Protected"] == "3 files"
    assert rows["Looks"].startswith("9.61 JOD predicted") and "9.50 the least" in rows["Looks"]
    assert rows["Looks"].endswith("--look standard asks for 9.5") and "\x1b" not in rows["Looks"]
    strong = dict(protect_rows(protected(replace(found, faint_count=2), STRONG))[0])
    assert strong["Looks"].endswith("plainly visible: --look strong asks for nothing")
    assert strong["Protected"] == "3 files, 2 of them faint: count those as unprotected"


def test_a_public_perturbation_is_named_with_what_its_card_says() -> None:
    note = PublicNote("x.safetensors", "ab" * 32, "bundle", "", "x", ("30.0 % on\n8,000 PNG",), ())

    def told(public: PublicNote | None) -> list[tuple[str, str]]:
        return protect_rows(replace(protected(None), public=public))[0][3:]

    assert told(note) == [
        ("Perturbation", "x, public"),
        ("Its card says", "30.0 % on\\n8,000 PNG"),
    ]
    assert "nobody has measured" in told(replace(note, claims=()))[1][1]
    bare = replace(note, card=None, claims=())
    assert told(bare) == [("Perturbation", "x.safetensors, public")]
    assert told(None) == []
