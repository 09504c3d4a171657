"""The command line: flags to typed calls, errors to exit codes; the only importer of typer."""

import sys

from ue_cli.cli.commands import app
from ue_cli.cli.run import run_app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    run_app(app, as_json="--json" in sys.argv[1:])
