"""One file, from its bytes to a whole protected file on disk: what a worker process does."""

from __future__ import annotations

import errno
import hashlib
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ue_cli import __version__
from ue_cli.banks.apply import GrayField
from ue_cli.banks.layout import oriented
from ue_cli.certificates.fidelity import fidelity
from ue_cli.errors import SkipFile, UeError
from ue_cli.images import write
from ue_cli.images.decode import Decoded, decode
from ue_cli.images.names import Naming
from ue_cli.images.opening import read_file
from ue_cli.jpeg.comparison import carried
from ue_cli.jpeg.transform import CEILING
from ue_cli.metadata.embedded import MetadataPolicy
from ue_cli.owner.key import Subkey
from ue_cli.owner.manifest import safe_join
from ue_cli.protection.embed import ProtectedImage, make
from ue_cli.protection.pattern import Pattern
from ue_cli.report import Picture, make_flat_crop, make_thumbnail
from ue_cli.textures.visibility import bounded, predicted, small_copy
from ue_cli.textures.vision import scene
from ue_cli.types import Budget, Fidelity, FileRecord, Look, PixelArray, Skipped

BUG = "bug"

ATTEMPTS = 6
"""Smaller and smaller amplitudes for a file whose encoding adds to what is seen."""
SETTLED = 2 * 10**9
"""ns after which a file system tells a later change by its time: FAT counts in two seconds."""
SMALLEST = 32
"""Pixels of the short side that any measured picture had."""
TOLERANCE = 0.01
"""JOD by which a written file may fall short of its look: rounding to whole levels."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tasks of one run have in common; sent to each process once.

    Attributes:
        out: OUT.
        subkey: the collection's secret.
        pattern: its perturbation.
        budget: the ball.
        look: the bound on what is seen.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        policy: what happens to metadata.
        max_pixels: larger images are refused.
        protected: sorted SHA-256 digests of everything ever protected here, (n,) ``S32``.
    """

    out: Path
    subkey: Subkey
    pattern: Pattern
    budget: Budget
    look: Look
    format: write.Requested
    policy: MetadataPolicy
    max_pixels: int
    protected: NDArray[np.bytes_] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to protect.

    Attributes:
        name: its path below SRC.
        path: where it lies.
        label: its class.
        naming: what its output can be called.
        finished: what an earlier run recorded, where its output is to be kept.
        examine: measure fidelity and make pictures for the report.
    """

    name: str
    path: Path
    label: str
    naming: Naming
    finished: FileRecord | None
    examine: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """One photo's part in what the report says on how it looks."""

    fidelity: Fidelity
    picture: Picture


@dataclass(frozen=True, slots=True)
class Written:
    """A protected file that is on disk, whole.

    Attributes:
        record: what was measured.
        examined: where the task asked for it.
        fresh: False where an earlier run's output was kept.
    """

    record: FileRecord
    examined: Examined | None
    fresh: bool


_shared: Shared | None = None


def set_up(shared: Shared) -> None:
    """Give this process what all its tasks share."""
    global _shared
    _shared = shared


def protect_file(task: Task) -> Written | Skipped:
    """Protect one file, or say why not. Nothing over budget is ever written.

    Raises:
        UeError, OSError, MemoryError: the disk is full, say: no file would fare better.
    """
    if _shared is None:
        raise RuntimeError("set_up was not called in this process")
    try:
        return _protect(task, _shared)
    except SkipFile as skip:
        return Skipped(task.name, skip.code, skip.reason)
    except (UeError, OSError, MemoryError):
        raise
    except Exception as error:  # one file that ue fails on must not keep the others unprotected
        why = f"A bug in ue {__version__} ({type(error).__name__}: {error}); please report it."
        return Skipped(task.name, BUG, why)


def _protect(task: Task, shared: Shared) -> Written:
    modified = _modified(task.path)
    data = read_file(task.path, shared.max_pixels)
    digest = hashlib.sha256(data)
    _refuse_protected(digest.digest(), shared.protected)
    original_hmac = shared.subkey.hmac_hash(digest.hexdigest())
    record = task.finished
    if record is not None and _is_current(record, original_hmac, shared.out):
        examined = None
        if task.examine:
            before = decode(data, max_pixels=shared.max_pixels)
            after = decode(shared.out / record.output, max_pixels=shared.max_pixels)
            examined = _examine(task.name, record.jod, before, after.pixels)
        return Written(replace(record, modified=modified), examined, fresh=False)

    decoded = decode(data, max_pixels=shared.max_pixels)
    seed = shared.subkey.photo_seed(task.name)
    image, jod, (carried, strength) = within_look(data, decoded, task.label, seed, shared)
    output = task.naming.final(image.extension)
    target = safe_join(shared.out, output)
    _make_folder(target.parent)
    write.write_atomic(target, image.data)
    examined = _examine(task.name, jod, decoded, image.pixels) if task.examine else None
    record = FileRecord(
        name=task.name,
        output=output,
        label=task.label,
        route=image.route,
        route_reason=image.reason,
        width=decoded.width,
        height=decoded.height,
        linf=image.difference.linf,
        linf_limit=shared.budget.radius(decoded.pixels.dtype),
        linf_encoding=image.linf_encoding,
        mean_abs=image.difference.mean_abs,
        mse=image.difference.mse,
        sha256=hashlib.sha256(image.data).hexdigest(),
        original_hmac=original_hmac,
        bytes_in=len(data),
        bytes_out=len(image.data),
        jod=jod,
        carried=carried,
        strength=strength,
        removed=tuple(str(removal) for removal in image.removed),
        notes=(*image.notes, *_small(decoded)),
        modified=modified,
    )
    return Written(record, examined, fresh=True)


def _small(decoded: Decoded) -> tuple[str, ...]:
    """What the owner should read of a picture with too few pixels."""
    if min(decoded.height, decoded.width) >= SMALLEST:
        return ()
    return (
        f"It has {decoded.width} × {decoded.height} pixels; below {SMALLEST} nothing was measured.",
    )


def within_look(
    data: bytes, decoded: Decoded, label: str, seed: bytes, shared: Shared
) -> tuple[ProtectedImage, float, tuple[float, float]]:
    """One photo at the amplitudes that its look allows, as measured on what was made.

    Args:
        data: the file's bytes; of a JPEG that stays one its coefficients are read from them.
        decoded: the photo.
        label: its class.
        seed: 32 bytes that belong to its name.
        shared: all else that decides its bytes.

    Returns:
        The file; its predicted JOD; and the share and the strength that arrived (`carried`).

    Raises:
        SkipFile: ``look``: the file cannot keep it at any amplitude.
    """
    small = small_copy(decoded.pixels, decoded.orientation)
    size = decoded.height, decoded.width
    picture = scene(small, *size)
    whole = shared.pattern.field(label, seed, decoded, small)
    if decoded.pixels.shape[2] == 1:
        whole = GrayField(whole)
    stays = write.choose_format(decoded, shared.format)[0] == write.JPEG_COEFFICIENTS
    ceiling = CEILING if stays else 1.0
    least = shared.look.jod
    field = whole.softened() if stays and least is not None else whole
    target = bounded(field, picture, size, shared.budget, shared.look, ceiling=ceiling)
    for attempt in range(1, ATTEMPTS + 1):
        image = make(
            data,
            decoded,
            target,
            shared.budget,
            shared.policy,
            format=shared.format,
            fill=least is None,
        )
        jod = predicted(picture, decoded.pixels, image.pixels, decoded.orientation, shared.budget)
        if least is None or jod >= least - TOLERANCE:
            rows, columns = decoded.pixels.shape[:2]
            meant, full, along = (
                oriented(f, decoded.orientation, rows, columns)
                for f in (target, whole, whole.softened())
            )
            arrived = carried(meant, full, along, decoded.pixels, image.pixels, shared.budget)
            return image, jod, arrived
        # What is lost goes about with the square of the amplitude, until rounding to whole levels
        # holds it: each attempt goes farther below.
        target = target.scaled(0.95**attempt * math.sqrt((10 - least) / (10 - jod)))
    raise SkipFile("look", f"No amplitude of at least one level keeps --look {shared.look.name}.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise SkipFile("path-too-long", f"Its path in OUT would be too long: {folder}") from None


def _refuse_protected(digest: bytes, protected: NDArray[np.bytes_]) -> None:
    wanted = np.frombuffer(digest, "S32")
    place = int(np.searchsorted(protected, wanted)[0])
    if place < len(protected) and protected[place] == wanted[0]:
        raise SkipFile(
            "already-protected", "This file is protected already; protecting twice would stack."
        )


def is_unchanged(task: Task, out: Path) -> bool:
    """Whether sizes and times say that original and output are as an earlier run left them."""
    record = task.finished
    if record is None or record.modified == 0:
        return False
    try:
        status = task.path.stat()
    except OSError:
        return False
    same = status.st_size == record.bytes_in and status.st_mtime_ns == record.modified
    return same and _has_output(record, out)


def _is_current(record: FileRecord, original_hmac: str, out: Path) -> bool:
    """Whether an earlier output still stands for this original, and is still there."""
    return record.original_hmac == original_hmac and _has_output(record, out)


def _has_output(record: FileRecord, out: Path) -> bool:
    try:
        return safe_join(out, record.output).lstat().st_size == record.bytes_out
    except OSError:
        return False


def _modified(path: Path) -> int:
    """When a file was last written, in ns since 1970; 0 where it may change within that tick."""
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        return 0
    return modified if time.time_ns() - modified > SETTLED else 0


def _examine(name: str, jod: float, before: Decoded, after: PixelArray) -> Examined:
    measured = fidelity(before.pixels, after)
    pixels, turn = before.pixels, before.orientation
    whole = make_thumbnail(pixels, after, orientation=turn)
    crop = make_flat_crop(pixels, after, measured.flattest, orientation=turn)
    return Examined(measured, Picture(name, jod, whole, crop))
