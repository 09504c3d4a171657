"""The nouns: frozen values that every layer speaks in. No behaviour that needs torch or Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import UeError

FloatArray = NDArray[np.float32]
PixelArray = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Budget:
    """The L∞ ball in which a perturbation stays.

    Attributes:
        levels: the radius in 8-bit levels; 8 means ε = 8/255.
    """

    levels: int

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 64:
            raise UeError(
                "epsilon-range",
                f"epsilon must be between 1 and 64 levels of 255, got {self.levels}.",
                "The published setting is --epsilon 8.",
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``8`` (levels), ``0.031`` (a fraction) or ``8/255``; always rounded *down*.

        Raises:
            UeError: the text is not a number, or leaves no whole level.
        """
        try:
            value = Fraction(text.strip())
        except (ValueError, ZeroDivisionError):
            raise UeError(
                "epsilon-format",
                f"--epsilon expects a number such as 8, 0.03 or 8/255, got {text!r}.",
                "Use --epsilon 8 for the published budget of 8/255.",
            ) from None
        levels = value if value >= 1 else value * 255
        if levels < 1:
            raise UeError(
                "epsilon-range",
                f"--epsilon {text} is less than one 8-bit level (1/255).",
                "Use 1 or more levels; 8 is the published budget.",
            )
        return cls(int(levels))

    @property
    def epsilon(self) -> float:
        """The radius as a fraction of full scale."""
        return self.levels / 255

    def radius(self, dtype: np.dtype[Any]) -> int:
        """The radius in steps of ``dtype``: levels for uint8, 257 × levels for uint16."""
        return self.levels if dtype == np.uint8 else self.levels * 257

    def clip(self, image: NDArray[Any], clean: PixelArray) -> PixelArray:
        """Bring a perturbed image into the ball and into its value range: *the* enforcement.

        Args:
            image: perturbed values, any real or integer dtype, shape of ``clean``; rounded here.
            clean: the original, uint8 or uint16.

        Returns:
            An array of ``clean``'s dtype with max |result − clean| ≤ ``radius``.
        """
        radius = self.radius(clean.dtype)
        wide = clean.astype(np.int32)
        rounded = np.rint(image).astype(np.int32) if image.dtype.kind == "f" else image
        top = np.iinfo(clean.dtype).max
        low, high = np.maximum(wide - radius, 0), np.minimum(wide + radius, top)
        return np.clip(rounded, low, high).astype(clean.dtype)


class Field(Protocol):
    """A perturbation of one image as a function of position, before any budget is applied."""

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid of two axes.

        Args:
            y: positions along the height in displayed pixels, pixel i's centre at i + 0.5, (m,).
            x: positions along the width, (n,).

        Returns:
            (m, n, 3) in [−1, 1], RGB, in units of ε.
        """
        ...


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
        removed: embedded copies that were dropped, e.g. ``EXIF thumbnail (7,412 bytes)``.
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
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
