"""Make docs/cli.md, the page of all commands and flags, from the program itself.

python scripts/make_cli_page.py            # writes the page
python scripts/make_cli_page.py --check    # exit 1 where the page is not what would be written
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from ue_cli.cli import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """\
# Commands

<!-- Made by `scripts/make_cli_page.py`; change the help texts in `ue_cli/cli/` instead. -->

`ue COMMAND --help` says the same.
"""

KINDS: dict[Any, str] = {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def commands(command: Any, name: str = "ue") -> Iterator[tuple[str, Any]]:
    """Every command below ``command`` that is not hidden, with the words that call it."""
    if command.hidden:
        return
    if subcommands := getattr(command, "commands", None):
        for word, subcommand in subcommands.items():
            yield from commands(subcommand, f"{name} {word}")
    else:
        yield name, command


def section(name: str, command: Any) -> str:
    """A command's part of the page: what it does, then its arguments and its flags by panel."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments]
    hints = get_type_hints(inspect.unwrap(command.callback))
    for option in command.params:
        if option.required and option not in arguments:
            kind = option.metavar or value_name(hints[option.name])
            words.append(f"{min(option.opts, key=len)} {kind}")
    parts = [f"## {name}", plain(command.help), f"    {' '.join([name, *words])}"]
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        if not parameter.hidden and "--help" not in parameter.opts:
            panel = getattr(parameter, "rich_help_panel", None) or ""
            panels.setdefault(panel, []).append(entry(parameter, hints[parameter.name]))
    for panel, lines in panels.items():
        parts += [*([f"### {panel}"] if panel else []), "\n".join(lines)]
    if command.epilog:
        parts.append(plain(command.epilog))
    return "\n\n".join(parts)


def entry(parameter: Any, hint: Any) -> str:
    """The line of an argument or a flag, in words that do not depend on typer's version.

    Args:
        parameter: of a click command.
        hint: its type in the command's function.
    """
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.param_type_name == "argument":
        names = parameter.name.upper()
    elif not parameter.is_flag:
        names += f" {parameter.metavar or value_name(hint)}"
    text, default = plain(parameter.help or ""), parameter.default
    if default not in (None, False, ()) and not callable(default) and "[default" not in text:
        text += f" [default: {getattr(default, 'value', default)}]"
    return f"- `{names}`: {text}" + (f" [{parameter.envvar}]" if parameter.envvar else "")


def value_name(hint: Any) -> str:
    """What a flag's value is called: its choices, or its kind."""
    for part in get_args(hint) or (hint,):  # of `list[str] | None`, say
        kind = (get_args(part) or (part,))[0]
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "|".join(str(member.value) for member in kind)
        if kind in KINDS:
            return KINDS[kind]
    raise ValueError(f"no name for the values of {hint}")


def plain(text: str) -> str:
    """A help text as paragraphs of one line each."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    sections = [section(name, command) for name, command in commands(root)]
    return "\n\n".join([HEAD.strip(), *sections, plain(root.epilog or "")]).strip() + "\n"


def main() -> int:
    """Write the page, or check the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where it is stale")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.is_file() and PAGE.read_text() == page():
        return 0
    print("docs/cli.md is stale: run scripts/make_cli_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
