"""`ue key …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli.cli.run import (
    HomeOption,
    JsonOption,
    run_command,
)
from ue_cli.defaults import home_folder
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output
    from ue_cli.pipeline.keys import KeyReport

keys = typer.Typer(no_args_is_help=True, help="The owner's key and per-collection state.")


@keys.command("show")
def key_show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the key's fingerprint and the collections made under it."""

    def work(output: Output) -> ExitCode:
        from ue_cli.pipeline.keys import show

        return _show_keys(output, show(home_folder(home)))

    run_command("key show", as_json, work)


@keys.command("export")
def key_export(
    file: Annotated[Path, typer.Argument(help="Backup file to write; as secret as the key.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a backup of the key and of every collection's state."""

    def work(output: Output) -> ExitCode:
        from ue_cli.pipeline.keys import export

        return _show_keys(output, export(home_folder(home), file))

    run_command("key export", as_json, work)


@keys.command("import")
def key_import(
    file: Annotated[Path, typer.Argument(help="A backup that `ue key export` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another key that is here already.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a key and its collections over from a backup."""

    def work(output: Output) -> ExitCode:
        from ue_cli.pipeline.keys import import_

        return _show_keys(output, import_(home_folder(home), file, replace=replace))

    run_command("key import", as_json, work)


@keys.command("purge")
def key_purge(
    collection: Annotated[str, typer.Argument(help="Fingerprint as `ue key show` lists it.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it: the originals cannot be restored after this.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove one collection's state for good."""

    def work(output: Output) -> ExitCode:
        from ue_cli.pipeline.keys import purge

        return _show_keys(output, purge(home_folder(home), collection, yes=yes))

    run_command("key purge", as_json, work)


def _show_keys(output: Output, report: KeyReport) -> ExitCode:
    from ue_cli.render.files import key_rows

    rows, lists = key_rows(report)
    output.result(report.to_json(), rows, lists=lists)
    return ExitCode.DONE
