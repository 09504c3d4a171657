"""What was measured, and what it adds up to."""

from __future__ import annotations

from dataclasses import dataclass


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
        faint_count: how many files carry too little of their class's perturbation to count.
        faint: the names of the weakest of them, weakest first.
        reencoded: files certified *before* their encoding as JPEG.
        linf_reencoded: the largest difference of those after decoding, in 8-bit levels.
        jod_median, jod_least: of the predicted quality beside the originals; 10 without files.
        jod_least_file: the name of the file with the least.
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
    faint_count: int
    faint: tuple[str, ...]
    reencoded: int
    linf_reencoded: float
    jod_median: float = 10.0
    jod_least: float = 10.0
    jod_least_file: str = ""

    @property
    def passed(self) -> bool:
        """True where no file exceeds its limit."""
        return self.over_count == 0


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How much a protected photo looks like its original (certify/fidelity.py has the definitions).

    Attributes:
        psnr: in dB; None for equal images.
        ssim: structural similarity of the luma, 1 for equal images.
        delta_e_median, delta_e_p95: CIEDE2000 over all pixels.
        flat_delta_e_median, flat_delta_e_p95: the same over flat areas; None without any.
        flat_fraction: share of the measured area that is flat.
        flattest: row and column, in stored pixels, of the centre of the flattest spot.
    """

    psnr: float | None
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
