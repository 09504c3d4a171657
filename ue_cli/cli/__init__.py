"""The command line: flags to typed calls, errors to exit codes; the only importer of typer."""

from ue_cli.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    app()
