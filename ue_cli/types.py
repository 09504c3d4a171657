"""The nouns: frozen values that every layer speaks in. No behaviour that needs torch or Pillow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError

FloatArray = NDArray[np.float32]
PixelArray = NDArray[np.uint8] | NDArray[np.uint16]
OnStep = Callable[[int, int, float], None]
"""Called after every step of an optimisation with (steps done, steps in all, objective)."""


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
        top = np.iinfo(clean.dtype).max
        if image.dtype.kind == "f":
            image = np.rint(image)
        # Into the value range first: what follows then stays in clean's own dtype, whose SIMD
        # lanes are 2 to 4 times as many as a wider type's, and nothing wraps around.
        ranged = np.clip(image, 0, top).astype(clean.dtype)
        step = clean.dtype.type(radius)
        low = np.maximum(clean, step) - step
        high = np.minimum(clean, clean.dtype.type(top - radius)) + step
        clipped: PixelArray = np.clip(ranged, low, high)
        return clipped


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bank comes from; all of it JSON.

    Attributes:
        method: ``csd``, ``tue``, ``pue`` …
        space: ``pixel``: entries are cells laid over the image.
        recipe: hyperparameters and what was measured while optimising.
        created_by: program and version, such as ``ue 0.1.0``.
    """

    method: str
    space: str
    recipe: Mapping[str, Any]
    created_by: str


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Optimised perturbations of some classes, in whole levels.

    Attributes:
        delta: int8 levels, (classes, per_class, 3, h, w), RGB; per_class 1 is class-wise.
            Made read-only.
        classes: one name per entry.
        budget: the ball that every value lies in.
        provenance: how it was made.

    Raises:
        UeError: on construction, when the parts do not fit together.
    """

    delta: NDArray[np.int8]
    classes: tuple[str, ...]
    budget: Budget
    provenance: Provenance

    def __post_init__(self) -> None:
        shape, dtype = self.delta.shape, self.delta.dtype
        if dtype != np.int8:
            raise _bad_bank(f"its values must be int8 levels, got {dtype}")
        if len(shape) != 5 or shape[2] != 3 or min(shape) < 1:
            raise _bad_bank(f"its shape must be (classes, per_class, 3, h, w), got {shape}")
        if len(self.classes) != shape[0] or len(set(self.classes)) != shape[0]:
            raise _bad_bank(f"{shape[0]} entries need as many distinct class names")
        low, high = int(self.delta.min()), int(self.delta.max())
        if max(-low, high) > self.budget.levels:
            raise _bad_bank(
                f"its values reach {low} to {high}, outside its stated budget of "
                f"±{self.budget.levels} levels"
            )
        self.delta.flags.writeable = False

    def entry(self, name: str, variant: int = 0) -> NDArray[np.int8]:
        """One perturbation, (3, h, w); ``variant`` counts on around the class's samples.

        Raises:
            UeError: the bank has no such class.
        """
        if name not in self.classes:
            raise UeError(
                "bank-class",
                f"The perturbation has no entry for class {name!r}; "
                f"it has {len(self.classes)}: {', '.join(self.classes[:10])}.",
                "Optimise it for this class, or choose another perturbation.",
                exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
            )
        found: NDArray[np.int8] = self.delta[
            self.classes.index(name), variant % self.delta.shape[1]
        ]
        return found


def _bad_bank(why: str) -> UeError:
    return UeError(
        "bank-invalid",
        f"This perturbation cannot be used: {why}.",
        "Make it again with ue optimize, or fetch it again.",
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )


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


@dataclass(frozen=True, slots=True)
class Difference:
    """How far apart two decoded images are.

    Attributes:
        linf: the largest absolute difference, in steps of the images' own depth.
        mean_abs: mean absolute difference, in 8-bit levels.
        mse: mean squared difference, in squared 8-bit levels.
        over: how many values differ by more than the limit that was asked about.
    """

    linf: int
    mean_abs: float
    mse: float
    over: int


@dataclass(frozen=True, slots=True)
class BudgetCertificate:
    """What was measured on every written file, against the promise that was made.

    Attributes:
        files: how many files it covers.
        limit: the budget in 8-bit levels.
        linf: the largest certified difference of any file, in 8-bit levels.
        over_count: how many files exceed their limit.
        over: the names of the first of them.
        mean_abs, median_abs, lowest_abs: mean, median and minimum over files of the per-file
            mean |δ|, in 8-bit levels; 0 where there is no file.
        histogram: files by mean |δ|, equal bins from 0 to ``limit``.
        underused_count: how many files use less than a quarter of the ball on average.
        underused: the names of the weakest of them, weakest first.
        reencoded: files certified *before* their encoding as JPEG.
        linf_reencoded: the largest difference of those after decoding, in 8-bit levels.
    """

    files: int
    limit: int
    linf: float
    over_count: int
    over: tuple[str, ...]
    mean_abs: float
    median_abs: float
    lowest_abs: float
    histogram: tuple[int, ...]
    underused_count: int
    underused: tuple[str, ...]
    reencoded: int
    linf_reencoded: float

    @property
    def passed(self) -> bool:
        """True where no file exceeds its limit."""
        return self.over_count == 0


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How much a protected photo looks like its original (certify/fidelity.py has the definitions).

    Attributes:
        psnr: in dB; infinite for equal images.
        ssim: structural similarity of the luma, 1 for equal images.
        delta_e_median, delta_e_p95: CIEDE2000 over all pixels.
        flat_delta_e_median, flat_delta_e_p95: the same over flat areas; None without any.
        flat_fraction: share of the measured area that is flat.
        flattest: row and column, in stored pixels, of the centre of the flattest spot.
    """

    psnr: float
    ssim: float
    delta_e_median: float
    delta_e_p95: float
    flat_delta_e_median: float | None
    flat_delta_e_p95: float | None
    flat_fraction: float
    flattest: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FidelitySummary:
    """Fidelity over a sample of the photos.

    Attributes:
        measured: how many photos were measured.
        total: of how many.
        median: each number's median over photos.
        worst: each number's worst value over photos; not one photo's numbers.
    """

    measured: int
    total: int
    median: Fidelity
    worst: Fidelity


class Phases(Protocol):
    """What a pipeline tells while it works: phases, each with a total and steps."""

    def start(self, title: str, total: int) -> None:
        """Begin a phase of ``total`` steps; the phase before it is over."""

    def step(self, count: int = 1) -> None:
        """``count`` more steps of the current phase are done."""

    def note(self, text: str) -> None:
        """One line that the user should see as soon as it is known."""
