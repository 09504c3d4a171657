"""The commands that `ue protect` shows for afterwards."""

from __future__ import annotations

import shlex

from ue_cli.protection.options import ProtectOptions


def certify_command(options: ProtectOptions) -> str:
    """The command line that certifies what was protected, beside its clean control."""
    return _command("certify", options)


def evaluate_command(options: ProtectOptions) -> str:
    """The command line that trains victims on what was protected."""
    return _command("evaluate", options)


def _command(name: str, options: ProtectOptions) -> str:
    words = ["ue", name, str(options.out), "--original", str(options.src)]
    if options.home_given:
        words += ["--home", str(options.home)]
    return shlex.join(words)
