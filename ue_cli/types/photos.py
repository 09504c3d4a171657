"""What a run reads and writes, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Photo:
    """One input file.

    Attributes:
        path: where it lies.
        name: its POSIX path below SRC, as found on disk; its identity in the collection.
        label: class name, or None where there are no labels.
    """

    path: Path
    name: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """What a scan and the labelling found. Lazy: paths only, no pixels.

    Attributes:
        root: SRC, absolute.
        photos: sorted by name.
        classes: sorted class names.
        label_rule: ``folders``, ``metadata.jsonl``, ``metadata.csv``, ``labels.csv``,
            ``clusters`` or ``single``.
        label_reason: one sentence on why that rule was chosen.
    """

    root: Path
    photos: tuple[Photo, ...]
    classes: tuple[str, ...]
    label_rule: str
    label_reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left alone, and why."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One protected file: what was written, and what was measured on it after decoding it again.

    Attributes:
        name: the original's path below SRC. Private: it stays in the owner's state and report.
        output: POSIX path below OUT.
        label: class name.
        route: ``jpeg-coefficients`` or ``lossless`` or ``jpeg-reencoded``.
        route_reason: why a JPEG did not stay in its coefficients; else empty.
        width, height: of the displayed image.
        linf: max |decoded protected − decoded original|, in steps of the file's own depth.
        linf_limit: the budget in the same steps.
        linf_encoding: for a re-encoded JPEG, the L∞ before encoding; else None.
        mean_abs: mean |δ| in 8-bit levels.
        mse: mean δ² in squared 8-bit levels.
        sha256: of the protected file's bytes.
        original_hmac: HMAC(subkey, SHA-256 of the original's bytes), hex.
        bytes_in, bytes_out: file sizes.
        modified: when the original was last written, in ns since 1970; 0 where it was read too soon
            after that to tell a later change by its time. Private.
        removed: embedded copies that were dropped, e.g. ``EXIF thumbnail (7,412 bytes)``.
        jod: predicted quality beside the original (`Look`), of the decoded file.
        carried: share of the perturbation that was meant for it, ⟨δ, target⟩ / ⟨target, target⟩.
        strength: amplitude along the class's perturbation, 1 where it fills the ball everywhere.
        notes: anything else that the owner should read about this file.
    """

    name: str
    output: str
    label: str
    route: str
    route_reason: str
    width: int
    height: int
    linf: int
    linf_limit: int
    linf_encoding: int | None
    mean_abs: float
    mse: float
    sha256: str
    original_hmac: str
    bytes_in: int
    bytes_out: int
    jod: float = 10.0
    carried: float = 1.0
    strength: float = 1.0
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    modified: int = 0
