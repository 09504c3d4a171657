"""The verdict on trainings beside their control: a pure function of counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.evaluation import judge
from ue_cli.evaluation.judge import judge_all, judge_cell, learning_mark
from ue_cli.evaluation.words import headline
from ue_cli.types import EffectCell, EffectReport, EffectVerdict, Training

TESTS, CHANCE = 1000, 0.1


def training(*correct: int, fit: float = 0.99) -> Training:
    return judge.training(0, correct, tests=TESTS, fitted=round(1000 * fit), trained=1000)


def judged(
    protected: int | tuple[int, ...], control: int, *, fit: float = 0.99, control_fit: float = 0.99
) -> EffectVerdict:
    counts = (protected,) if isinstance(protected, int) else protected
    found = judge_cell(
        [training(*counts, fit=fit)],
        [training(control, fit=control_fit)],
        chance=CHANCE,
    )
    assert found.reason
    return found.verdict


def test_the_verdict_falls_as_the_victim_learns_more() -> None:
    found = [judged(reached, 800) for reached in range(100, 1000, 5)]
    assert [v for i, v in enumerate(found) if i == 0 or v != found[i - 1]] == [
        "protected",
        "weak",
        "not-shown",
    ]


def test_the_marks_are_those_of_the_rule() -> None:
    lower = clopper_pearson(800, TESTS, 0.95)[0]
    for reached in range(100, 1000):
        upper = clopper_pearson(reached, TESTS, 0.95)[1]
        if upper <= CHANCE + (lower - CHANCE) / 3:
            assert judged(reached, 800) == "protected"
        elif upper <= lower - 0.05:
            assert judged(reached, 800) == "weak"
        else:
            assert judged(reached, 800) == "not-shown"


def test_stopping_at_the_best_epoch_is_what_an_adversary_gets() -> None:
    assert judged((150, 150), 800) == "protected"
    assert judged((500, 150), 800) == "weak"
    assert judged((780, 150), 800) == "not-shown"


def test_a_control_is_judged_by_its_last_epoch() -> None:
    late = judge_cell([training(250)], [training(100, 800)], chance=CHANCE)
    early = judge_cell([training(250)], [training(800, 400)], chance=CHANCE)
    assert (late.verdict, early.verdict) == ("protected", "weak")


def test_an_undertrained_victim_does_not_pass_for_protection() -> None:
    assert judged(150, 800, fit=0.97, control_fit=0.99) == "protected"
    assert judged(150, 800, fit=0.969, control_fit=0.99) == "inconclusive"
    assert judged(780, 800, fit=0.5, control_fit=0.99) == "inconclusive"
    assert judged(150, 800, fit=0.99, control_fit=0.5) == "protected"


def test_a_control_that_learned_nothing_proves_nothing() -> None:
    assert judged(100, 200) == "inconclusive"
    assert judged(100, 240) != "inconclusive"


def test_two_classes_need_no_perfect_control() -> None:
    assert learning_mark(0.5) == 0.75
    assert learning_mark(0.1) == 0.2
    found = judge_cell([training(500)], [training(900)], chance=0.5)
    assert found.verdict == "protected"


@pytest.mark.parametrize("chance", [0.0, 1.0, -0.1])
def test_guessing_has_an_accuracy(chance: float) -> None:
    with pytest.raises(ValueError):
        learning_mark(chance)


def test_without_a_control_nothing_is_concluded() -> None:
    found = judge_cell([training(100)], [], chance=CHANCE)
    assert (found.verdict, found.lower) == ("inconclusive", None)
    assert "originals" in found.reason


def test_seeds_share_the_test_images_so_more_of_them_do_not_narrow_the_interval() -> None:
    """Five trainings with one and the same outcome know no more than one."""
    one = judge_cell([training(300)], [training(800)], chance=CHANCE)
    five = judge_cell([training(300)] * 5, [training(800)] * 5, chance=CHANCE)
    assert five == one
    assert five.upper > clopper_pearson(1500, 5 * TESTS, 0.95)[1] + 0.01


def test_the_adversary_keeps_the_best_seed_and_the_control_its_worst() -> None:
    protected = [training(150), training(500), training(150)]
    control = [training(800), training(700), training(800)]
    found = judge_cell(protected, control, chance=CHANCE)
    assert found.upper == clopper_pearson(500, TESTS, 0.95)[1]
    assert found.lower == clopper_pearson(700, TESTS, 0.95)[0]
    assert found.verdict == "weak"


def cell(name: str, reached: int, verdict: EffectVerdict, coverage: int = 100) -> EffectCell:
    trained = (training(reached),)
    return EffectCell(
        "small", name, coverage, trained, trained, (), "", 0.5, 0.5, verdict, "because"
    )


def test_the_worst_case_is_the_largest_accuracy_of_conclusive_cells() -> None:
    cells = [
        cell("none", 200, "protected"),
        cell("jpeg-50", 500, "weak"),
        cell("grayscale", 300, "protected"),
    ]
    (whole,) = judge_all(cells)
    assert (whole.verdict, whole.worst.countermeasure, whole.beyond) == ("weak", "jpeg-50", None)
    (whole,) = judge_all([*cells, cell("crop", 700, "not-shown")])
    assert (whole.verdict, whole.worst.countermeasure) == ("not-shown", "crop")


def test_the_gravest_verdict_may_be_that_of_another_cell() -> None:
    worst, grave = cell("none", 500, "weak"), cell("blur", 450, "not-shown")
    (whole,) = judge_all([worst, grave, cell("jpeg-50", 300, "not-shown")])
    assert (whole.verdict, whole.worst, whole.because) == ("not-shown", worst, grave)
    (said,) = sentences(worst, grave)
    assert said.endswith(
        "What decides is a small ResNet under blur: it gets 45.0 %, its control 45.0 %. "
        "Verdict: not shown."
    )
    (whole,) = judge_all([worst, cell("blur", 450, "weak")])
    assert whole.because is None


def test_an_inconclusive_cell_neither_decides_nor_is_passed_over() -> None:
    low, high = cell("blur", 150, "inconclusive"), cell("pgd-8", 600, "inconclusive")
    (whole,) = judge_all([cell("none", 200, "protected"), low])
    assert (whole.verdict, whole.worst.countermeasure, whole.beyond) == ("protected", "none", None)
    (whole,) = judge_all([cell("none", 200, "protected"), high])
    assert (whole.verdict, whole.worst.countermeasure) == ("inconclusive", "none")
    assert whole.beyond == high
    (whole,) = judge_all([cell("none", 500, "not-shown"), high])
    assert (whole.verdict, whole.beyond) == ("not-shown", high)
    (whole,) = judge_all([low, high])
    assert (whole.verdict, whole.worst) == ("inconclusive", high)


def test_each_coverage_has_a_worst_case_of_its_own() -> None:
    cells = [cell("none", 700, "not-shown", 50), cell("none", 200, "protected")]
    assert [(w.coverage, w.verdict) for w in judge_all(cells)] == [
        (100, "protected"),
        (50, "not-shown"),
    ]
    assert judge_all([replace(cells[0], coverage=90)])[0].coverage == 90


def report(*cells: EffectCell) -> EffectReport:
    return EffectReport(cells, TESTS, 2000, 10, CHANCE, 0.95, "", None, "CPU", "", 1.0)


def sentences(*cells: EffectCell) -> list[str]:
    return [headline(whole, report(*cells)) for whole in judge_all(cells)]


def test_the_headline_names_the_worst_case_and_the_drop() -> None:
    control = (training(800),)
    found = replace(cell("jpeg-50", 500, "weak"), control=control)
    assert sentences(cell("none", 200, "protected"), found) == [
        "The worst case is a small ResNet under jpeg-50: it gets 50.0 % of the clean test images "
        "right at best, where the same training on the originals ends at 80.0 %, 30.0 points "
        "more. Verdict: weak."
    ]
    (said,) = sentences(cell("none", 200, "protected"), cell("blur", 600, "inconclusive"))
    assert "trained as usual: it gets 20.0 %" in said
    assert "More, 60.0 %, is reached by a small ResNet under blur" in said
    assert said.endswith("Verdict: inconclusive.")


def test_the_headline_says_when_nothing_is_known() -> None:
    alone = replace(cell("none", 200, "inconclusive"), control=(), lower=None)
    (said,) = sentences(alone)
    assert said.startswith("Nothing is conclusive; the most is reached by a small ResNet")
    assert "there is no control" in said


def test_the_headline_of_a_part_says_what_the_rest_gives_alone() -> None:
    half = replace(cell("none", 700, "not-shown", 50), alone=(training(650), training(690)))
    (said,) = sentences(half)
    assert said.startswith("With 50 % of the files protected, the worst case is")
    assert "The clean files alone give 69.0 %" in said
