"""What every command's rows and lists share: names, problems and cautions in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ue_cli.output import printable

if TYPE_CHECKING:
    from ue_cli.protection.results import Problem
    from ue_cli.report import Caution
    from ue_cli.types import Skipped

SHOWN = 20
"""Lines of a list; ``--json`` and the report have all."""

Rows = list[tuple[str, str]]
Lists = list[tuple[str, list[str]]]


def caution(one: Caution) -> str:
    """What to know, and what to do about it."""
    return printable(f"{one.text} {one.remedy}")


def problems(found: Sequence[Problem]) -> Lists:
    """One line for each file that failed."""
    return listed("Problems", [f"{p.name}: {p.text}" for p in found])


def listed(title: str, lines: Sequence[str | Skipped]) -> Lists:
    """A titled list, cut where it is too long for a screen."""
    shown = [printable(str(line)) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"… and {len(lines) - SHOWN} more; --json and the report list all.")
    return [(title, shown)]


def some(names: Sequence[str]) -> str:
    """The first names, for a row."""
    shown = ", ".join(printable(name) for name in names[:6])
    return shown + (", …" if len(names) > 6 else "")
