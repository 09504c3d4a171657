"""The commands of `ue`: flags to typed calls.

Nothing heavy is imported before a command needs it, so that ``ue --help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli import __version__
from ue_cli.cli.certify import certify
from ue_cli.cli.evaluate import evaluate, names
from ue_cli.cli.fetch import fetch_perturbations
from ue_cli.cli.key import key
from ue_cli.cli.optimize import optimize
from ue_cli.cli.panels import PanelCommand
from ue_cli.cli.protect import protect
from ue_cli.cli.run import (
    HomeOption,
    JobsOption,
    JsonOption,
    folder,
    run_command,
)
from ue_cli.defaults import home_folder, process_count
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output

app = typer.Typer(
    name="ue",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Protect published images with unlearnable examples, and measure what that is worth.",
    epilog="Exit codes: 0 done, 1 bug, 2 usage, 3 nothing usable, 4 perturbation unavailable, "
    "5 budget or verification failed, 6 done but some files skipped, 130 interrupted.",
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"ue {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Protect published images with unlearnable examples, and measure what that is worth."""


app.command(cls=PanelCommand)(protect)
app.command(cls=PanelCommand)(optimize)


@app.command()
def verify(
    out: Annotated[Path, typer.Argument(parser=folder, help="The protected folder.")],
    original: Annotated[Path, typer.Option("--original", help="The originals' folder.")],
    jobs: JobsOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every written file again; check budget, completeness and hashes."""

    def work(output: Output) -> ExitCode:
        from ue_cli.protection.verify import verify as run
        from ue_cli.render.files import verify_rows

        with output.phases() as phases:
            result = run(
                out, original, home=home_folder(home), jobs=process_count(jobs), phases=phases
            )
        rows, lists = verify_rows(result)
        output.result(result.to_json(), rows, lists=lists, exit_code=result.exit_code)
        return result.exit_code

    run_command("verify", as_json, work)


app.command(cls=PanelCommand)(certify)
app.command(cls=PanelCommand, epilog=names())(evaluate)
app.command()(fetch_perturbations)
app.command()(key)
