"""`ue key`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ue_cli.cli.run import HomeOption, JsonOption, run_command
from ue_cli.defaults import home_folder
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output


def key(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the owner's key: fingerprint, where it lies, how to copy it, and its collections."""

    def work(output: Output) -> ExitCode:
        from ue_cli.owner.overview import describe_key
        from ue_cli.render.files import key_rows

        result = describe_key(home_folder(home))
        rows, lists = key_rows(result)
        output.result(result.to_json(), rows, lists=lists)
        return ExitCode.DONE

    run_command("key", as_json, work)
