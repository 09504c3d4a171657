"""`ue fetch-perturbations`: flags to a typed call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli.cli.run import JsonOption, run_command
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output


def fetch_perturbations(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A file, a name (csd-cifar10), a data set (cifar10, cifar100, tiny-imagenet), or "
            "hf://OWNER/REPO[@REVISION]/FILE. Without it: list what there is.",
            show_default=False,
        ),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Ask the Hub what a branch or tag is today; cache or not."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Get a pretrained perturbation, check its hash, show its card and where it is."""

    def work(output: Output) -> ExitCode:
        from ue_cli.banks.fetch import fetch
        from ue_cli.render.banks import fetch_rows

        result = fetch(name, refresh=refresh)
        rows, lists = fetch_rows(result)
        output.result(result.to_json(), rows, lists=lists)
        return ExitCode.DONE

    run_command("fetch-perturbations", as_json, work)
