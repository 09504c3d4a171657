"""Results that come in one by one, on a terminal and in a log."""

from __future__ import annotations

from functools import partial

import pytest
from rich.console import Console

from ue_cli.output import Output
from ue_cli.types import PENDING

COLUMNS = ("Cell", "Protected", "Verdict")


def rows(done: int, of: int = 30) -> list[tuple[str, ...]]:
    return [
        (f"cell{i:02}", f"{i} %", "weak") if i < done else (f"cell{i:02}", PENDING, PENDING)
        for i in range(of)
    ]


def test_a_log_gets_each_row_once_and_only_when_it_is_complete(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Output("evaluate", as_json=True).phases() as phases:
        for done in (0, 1, 1, 3):
            phases.show(COLUMNS, rows(done))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"Cell cell{i:02}; Protected {i} %; Verdict weak" for i in range(3)
    ]


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], done: int) -> str:
    """What a terminal of 20 lines holds in the end."""
    terminal = partial(Console, force_terminal=True, width=60, height=20)
    monkeypatch.setattr("ue_cli.output.Console", terminal)
    with Output("evaluate", as_json=False).phases() as phases:
        phases.start("Training [b]x", 10)
        phases.show(COLUMNS, rows(done))
        phases.step(10)
    return capsys.readouterr().err.rpartition("Cell ")[2]


@pytest.mark.parametrize(("done", "first", "last"), [(0, 0, 11), (15, 9, 20), (30, 18, 29)])
def test_a_terminal_keeps_the_rows_in_sight_that_are_at_work(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    done: int,
    first: int,
    last: int,
) -> None:
    text = shown(monkeypatch, capsys, done)
    seen = [int(word[4:]) for word in text.split() if word.startswith("cell")]
    assert seen == list(range(first, last + 1))
    assert "Training [b]x" in text and "10/10" in text


def test_rounds_of_minutes_have_an_eta(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of ten are done, the second in five minutes: eight more are forty."""
    now = [0.0]
    terminal = partial(Console, force_terminal=True, width=100, get_time=lambda: now[0])
    monkeypatch.setattr("ue_cli.output.Console", terminal)
    with Output("optimize", as_json=False).phases() as phases:
        phases.start("Training against a surrogate", 10)
        for _ in range(2):
            now[0] += 300
            phases.step()
    assert "0:40:00" in capsys.readouterr().err
