"""What a call means that leaves out places and processes: the same for commands and for Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ue_cli.errors import UeError


def home_folder(home: Path | None) -> Path:
    """The folder of the owner's key and state: ``home``, else ``UE_HOME``, else the app directory.

    Args:
        home: the folder that was asked for, if any.
    """
    if home is not None:
        return home
    if named := os.environ.get("UE_HOME"):
        return Path(named)
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/ue").expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "ue"


def beside(folder: Path | str, suffix: str) -> Path:
    """``./photos/`` and ``-protected`` give ``./photos-protected``, for ``.`` too.

    Raises:
        UeError: ``no-name-beside``: the folder is the root of a file system.
    """
    whole = Path(os.path.normpath(Path.cwd() / folder))
    if not whole.name:
        raise UeError(
            "no-name-beside",
            f"There is no place beside {whole} for a folder named after it.",
            "Say where to write, with -o or --to.",
        )
    return whole.with_name(whole.name + suffix)


def process_count(jobs: int | None) -> int:
    """The number of processes: ``jobs``, else one per CPU that this process may use, 16 at most."""
    if jobs is not None:
        return jobs
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(usable or 1, 16))
