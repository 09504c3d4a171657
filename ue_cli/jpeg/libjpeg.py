"""jpeglib's C functions, called without its Python ones.

The public functions of `jpeglib` copy the original into temporary files, print, and decode twice.
Here the original goes in through an anonymous memory file, and only what is written out ever has
a name on a disk, where the system offers no anonymous files.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jpeglib._bind import CJpegLib
from numpy.typing import NDArray

from ue_cli.errors import SkipFile

FAST, PROGRESSIVE, PORTABLE = "turbo210", "mozjpeg403", "6b"


def call(function: str, source: bytes, *arguments: Any, version: str = FAST) -> bool:
    """Call one of the C functions whose first argument is the path of a source file.

    Args:
        function: its name.
        source: contents of that file; empty for none (a null pointer).
        arguments: the remaining ones, as ctypes takes them.
        version: the libjpeg build.

    Returns:
        Whether it reported success. Its messages are kept off the terminal: the caller says in
        words what it found.
    """
    routine = getattr(_library(version), function)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_silenced())
        path = stack.enter_context(_memory_file(source)).encode() if source else None
        return bool(routine(path, *arguments))


def available(version: str) -> bool:
    """Whether this installation has that libjpeg build."""
    return version in CJpegLib.versions()


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """The address of a contiguous array, as ctypes passes it."""
    return array.ctypes.data_as(ctypes.c_void_p)


@contextlib.contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    """A path under which ``data`` can be read once, without a file on any disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("ue")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    if not Path("/dev/fd").is_dir():
        raise SkipFile("jpeg-platform", "this system has no anonymous files")
    reader, writer = os.pipe()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as stream:
            stream.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
        thread.join()


@contextlib.contextmanager
def output_file() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """A path to write protected bytes to, and a function that returns what was written there."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("ue")
        try:
            path = f"/proc/self/fd/{descriptor}"
            yield path, lambda: os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory(prefix="ue-") as folder:
        target = Path(folder) / "p.jpg"
        yield str(target), target.read_bytes


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep libjpeg's own messages off the terminal: the caller says what it found in words."""
    with _stderr_lock:
        stderr = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(null)


@cache
def _library(version: str) -> Any:
    """One build; in a class of its own, because jpeglib keeps its choice as class state."""

    class Binding(CJpegLib):  # type: ignore[misc]
        _lib = None

    Binding.set_version(version if available(version) else PORTABLE)
    return Binding.get()
