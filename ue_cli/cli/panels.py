"""Help in panels: the options that most runs need, then the rest."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

MORE = "More options"
"""For an option's ``rich_help_panel``."""


class PanelCommand(TyperCommand):
    """A command whose help lists each panel's options by themselves, as typer does with Rich."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options, and the options of every other panel."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            title = getattr(parameter, "rich_help_panel", None) or usual
            if (row := parameter.get_help_record(ctx)) is not None:
                panels.setdefault(title, []).append(row)
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)
