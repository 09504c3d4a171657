"""The one edge that prints: results on stdout, everything else on stderr; the only user of rich."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ue_cli.errors import ExitCode, UeError
from ue_cli.types import PENDING, Watch

SCHEMA = "ue/1"
_REMEMBERED = 3600.0
"""Seconds of a phase's steps that its ETA is taken from: a search's round can take many minutes."""
_BELOW = 8
"""Lines that heads and progress bars take."""


def printable(text: str) -> str:
    """A file name as a terminal can show it: no control characters, no lone surrogates."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Output:
    """Renders one command's progress, result or error.

    Args:
        as_json: print one JSON envelope on stdout and nothing else there.
        command: its name, as the envelope gives it.
    """

    def __init__(self, command: str, *, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # δ and → are in few code pages
                stream.reconfigure(errors="backslashreplace")
        self._out = Console(highlight=False, markup=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def phases(self) -> Iterator[Watch]:
        """Progress bars with ETA on stderr, below a table of results where there is one.

        Where stderr is not a terminal: plain lines, and each row of the table as it is complete.
        """
        bar = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA", style="dim"),
            TimeRemainingColumn(),
            console=self._err,
            speed_estimate_period=_REMEMBERED,
            disable=not self._err.is_terminal,
        )
        with bar:
            yield _RichPhases(bar, self._err)

    def result(
        self,
        result: Mapping[str, Any],
        rows: Sequence[tuple[str, str]],
        *,
        lists: Sequence[tuple[str, Sequence[str]]] = (),
        exit_code: ExitCode = ExitCode.DONE,
    ) -> None:
        """Print a finished command.

        Args:
            result: the JSON value of the envelope.
            rows: (name, value) pairs for people.
            lists: (heading, lines) printed under the rows, where there are lines.
            exit_code: what the process will return.
        """
        if self.as_json:
            self._envelope(exit_code, result=dict(result))
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name, style="bold"), Text(value))
        self._out.print(table)
        for heading, lines in lists:
            if lines:
                self._out.print(Text("\n" + heading, style="bold"))
                for line in lines:
                    self._out.print(Text("  " + line))

    def error(self, error: UeError) -> None:
        """Print a failure: a sentence and what to do next."""
        if self.as_json:
            detail = {"code": error.code, "message": error.message, "hint": error.hint}
            self._envelope(error.exit_code, error=detail)
            return
        self._err.print(Text.assemble(("error: ", "bold red"), printable(error.message)))
        if error.hint:
            self._err.print(Text("  → " + printable(error.hint)))

    def _envelope(self, exit_code: ExitCode, **body: Any) -> None:
        envelope = {
            "schema": SCHEMA,
            "command": self.command,
            "ok": "error" not in body,
            "exit_code": int(exit_code),
            **body,
        }
        # ASCII escapes keep names that are not valid Unicode readable for any JSON reader.
        sys.stdout.write(json.dumps(envelope, ensure_ascii=True, indent=2) + "\n")
        sys.stdout.flush()


class _Bars(Progress):
    """Progress bars, and a table above them."""

    table: Table | None = None

    def get_renderables(self) -> Iterator[RenderableType]:
        """See `Progress`."""
        if self.table is not None:
            yield self.table
        yield from super().get_renderables()


class _RichPhases:
    """`Watch` on rich progress bars."""

    def __init__(self, bar: _Bars, console: Console) -> None:
        self._bar = bar
        self._console = console
        self._task: Any = None
        self._printed_rows: set[tuple[str, ...]] = set()

    def start(self, title: str, total: int) -> None:
        """See `Phases.start`."""
        if self._task is not None:
            self._bar.update(self._task, completed=self._bar.tasks[self._task].total)
        self._task = self._bar.add_task(title, total=total)

    def step(self, count: int = 1) -> None:
        """See `Phases.step`."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """See `Phases.note`."""
        self._console.print(Text(printable(text)))

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Watch.show`."""
        if not self._console.is_terminal:
            for row in map(tuple, rows):
                if PENDING not in row and row not in self._printed_rows:
                    self._printed_rows.add(row)
                    pairs = zip(columns, row, strict=True)
                    self.note("; ".join(f"{name} {value}" for name, value in pairs))
            return
        table = Table(*columns, box=None, padding=(0, 2, 0, 0))
        for line in self._in_sight(rows):
            table.add_row(*(Text(printable(value)) for value in line))
        self._bar.table = table
        self._bar.refresh()

    def _in_sight(self, rows: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """As many rows as the terminal holds above the bars, around the first pending one."""
        room = max(1, self._console.height - _BELOW)
        at = next((i for i, row in enumerate(rows) if PENDING in row), len(rows))
        first = max(0, min(at - room // 2, len(rows) - room))
        return rows[first : first + room]
