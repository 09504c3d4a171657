"""The table that is shown while victims train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ue_cli.evaluation.cells import Cell, Task
from ue_cli.evaluation.work import Done, trained
from ue_cli.types import PENDING, EffectCell, Watch

COLUMNS = (
    "Victim",
    "Countermeasure",
    "Coverage",
    "Last epoch",
    "Best epoch",
    "Control",
    "Verdict",
)


def show(
    board: Watch,
    tasks: Mapping[Cell, Sequence[Task]],
    done: Done,
    tests: int,
    judged: Mapping[Cell, EffectCell],
) -> None:
    """Show all cells as far as they are known.

    Args:
        board: what shows them.
        tasks: the trainings of each cell.
        done: finished ones.
        tests: clean test images.
        judged: cells that are complete.
    """
    rows = []
    for cell, wanted in tasks.items():
        effect = judged.get(cell)
        if effect is not None:
            protected, control = effect.protected, effect.control
        else:
            protected = trained(wanted, done, "protected")
            control = trained(wanted, done, "control")
        alone = bool(wanted) and all(task.role != "control" for task in wanted)
        rows.append(
            (
                cell.victim,
                cell.countermeasure,
                f"{cell.coverage} %",
                _mean([training.last for training in protected], tests),
                _mean([training.best for training in protected], tests),
                "none" if alone else _mean([training.last for training in control], tests),
                PENDING if effect is None else effect.verdict.replace("-", " "),
            )
        )
    board.show(COLUMNS, rows)


def _mean(counts: Sequence[int], tests: int) -> str:
    return f"{100 * sum(counts) / len(counts) / tests:.1f} %" if counts else PENDING
