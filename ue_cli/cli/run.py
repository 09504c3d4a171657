"""From a command's work to an exit code: every error becomes a sentence, never a traceback."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ue_cli import __version__
from ue_cli.cli.panels import MORE
from ue_cli.errors import ExitCode, UeError

if TYPE_CHECKING:
    from ue_cli.output import Output

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="UE_HOME",
        help="Folder of the owner's key and state.",
        show_default=False,
        rich_help_panel=MORE,
    ),
]
EpsilonOption = Annotated[
    str,
    typer.Option(help="L∞ budget: 1 or more are 8-bit levels, below 1 a fraction; 8/255 too."),
]
LabelsOption = Annotated[
    str, typer.Option(help="auto, folders, metadata, clusters, single, or a CSV or JSONL file.")
]


class Method(StrEnum):
    """How a perturbation is made."""

    csd = "csd"
    pue = "pue"
    em = "em"
    tue = "tue"


MethodOption = Annotated[
    Method | None,
    typer.Option(
        help="csd needs no training; pue, em and tue train a surrogate on the photos. "
        "[default: csd]"
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="For what trains or optimises: auto, cpu, cuda or mps.", rich_help_panel=MORE
    ),
]
MaxPixelsOption = Annotated[
    int,
    typer.Option(min=1, help="Refuse larger images (decompression bombs).", rich_help_panel=MORE),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one versioned JSON envelope on stdout.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes. [default: one per usable CPU]"),
]


class Units(StrEnum):
    """What a published array counts in."""

    fraction = "fraction"
    levels = "levels"
    epsilon = "epsilon"


OrderOption = Annotated[
    str | None,
    typer.Option(
        metavar="cifar10|FILE",
        help="Of a .pt, .npy or .npz: the class of each row, a line each.",
        rich_help_panel=MORE,
    ),
]
UnitsOption = Annotated[
    Units | None,
    typer.Option(
        help="Of a .pt, .npy or .npz: what its values are. [default: found from them]",
        rich_help_panel=MORE,
    ),
]


def folder(text: str) -> Path:
    """A folder's path; an empty one, of an unset shell variable, is not the current folder.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not text:
        raise typer.BadParameter("It should name a folder, but is empty; use . for this one.")
    return Path(text)


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer does not export it


def run_app(app: typer.Typer, *, as_json: bool) -> NoReturn:
    """Run the whole command line; with ``--json`` a misspelt flag gives an envelope as well."""
    if not as_json:
        app(prog_name="ue")
        sys.exit(0)
    try:
        code = app(prog_name="ue", standalone_mode=False)
    except _UsageError as error:
        from ue_cli.output import Output

        context = getattr(error, "ctx", None)
        command = context.command_path.partition(" ")[2] if context is not None else ""
        help_line = f"ue {command} --help".replace("  ", " ")
        message = getattr(error, "format_message", lambda: "")() or "A command is missing."
        Output(command, as_json=True).error(UeError("usage", message, f"See {help_line}"))
        code = ExitCode.USAGE
    sys.exit(int(code or 0))


def run_command(command: str, as_json: bool, work: Callable[[Output], ExitCode]) -> NoReturn:
    """Do a command's work and end the process with its exit code; no traceback for bad input."""
    from ue_cli.output import Output

    output = Output(command, as_json=as_json)
    try:
        code = work(output)
    except UeError as error:
        output.error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        output.error(
            UeError(
                "interrupted",
                "Interrupted. What is written is whole.",
                "Run the same command again to go on where it stopped.",
                exit_code=ExitCode.INTERRUPTED,
            )
        )
        code = ExitCode.INTERRUPTED
    except (OSError, MemoryError) as error:
        output.error(_environment_error(error))
        code = ExitCode.USAGE
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        output.error(
            UeError(
                "bug",
                f"This is a bug in ue {__version__}: {type(error).__name__}: {error}",
                "Please report it with the lines above; nothing half-written was left.",
                exit_code=ExitCode.BUG,
            )
        )
        code = ExitCode.BUG
    sys.exit(int(code))


def _environment_error(error: OSError | MemoryError) -> UeError:
    if isinstance(error, MemoryError):
        return UeError("memory", "The machine ran out of memory.", "Try again with --jobs 1.")
    name = f" ({os.fsdecode(error.filename)})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UeError(
            "disk-full",
            f"There is no room left to write{name}: {error.strerror}.",
            "Make room, then run the same command again: it goes on where it stopped.",
        )
    return UeError("io", f"{error.strerror or error}{name}.", "Mend that and run it again.")
