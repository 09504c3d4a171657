"""What every command's rows and lists share: warnings, and lists that fit on a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ue_cli.output import printable

if TYPE_CHECKING:
    from ue_cli.report import Caution

MAX_LINES = 20
"""Lines of a list; ``--json`` and the report have all."""

Rows = list[tuple[str, str]]
Lists = list[tuple[str, list[str]]]


def warnings(cautions: Sequence[Caution]) -> tuple[str, list[str]]:
    """What to know, and what to do about it, a line each."""
    return "Warnings", [printable(f"{caution.text} {caution.remedy}") for caution in cautions]


def listed(title: str, lines: Sequence[str]) -> Lists:
    """A titled list, cut where it is too long for a screen."""
    cut = [printable(line) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        cut.append(f"… and {len(lines) - MAX_LINES} more; --json and the report list all.")
    return [(title, cut)]
