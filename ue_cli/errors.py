"""The one error type that reaches a user, and the exit codes it carries (product.md, Defaults)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; part of the public interface."""

    DONE = 0
    BUG = 1
    USAGE = 2
    NOTHING_USABLE = 3
    PERTURBATION_UNAVAILABLE = 4
    VERIFICATION_FAILED = 5
    SOME_SKIPPED = 6
    INTERRUPTED = 130


class UeError(Exception):
    """A failure with a sentence for its user.

    Args:
        code: a stable machine-readable name, such as ``"src-missing"``.
        message: what was expected and what arrived.
        hint: what to do next.
        exit_code: the status that the process ends with.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(
        self, code: str, message: str, hint: str = "", *, exit_code: ExitCode | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip back from a worker process."""
        return (_rebuild, (self.code, self.message, self.hint, int(self.exit_code)))


def _rebuild(code: str, message: str, hint: str, exit_code: int) -> UeError:
    return UeError(code, message, hint, exit_code=ExitCode(exit_code))


def unknown_name(code: str, message: str, name: str, among: Iterable[str]) -> UeError:
    """An error whose hint lists the names that there are, the closest first.

    Args:
        code: of the error.
        message: its sentence.
        name: that was asked for.
        among: those that there are.
    """
    names = list(among)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = [by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded)]
    question = f"Did you mean {' or '.join(close)}? " if close else ""
    return UeError(code, message, f"{question}There are: {', '.join(names)}.")


class SkipFile(Exception):
    """One file cannot be protected; the run goes on and lists it.

    Args:
        code: a stable name, such as ``"truncated"`` or ``"animated"``.
        reason: one sentence for the report.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip back from a worker process."""
        return (SkipFile, (self.code, self.reason))
