"""One decoded image to a protected file's bytes, by the route that its type allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ue_cli.banks import apply
from ue_cli.banks.layout import oriented
from ue_cli.certificates.budget import measure
from ue_cli.errors import ExitCode, UeError
from ue_cli.images import write
from ue_cli.images.decode import Decoded, decode
from ue_cli.jpeg.coefficients import protect_jpeg
from ue_cli.jpeg.quantised import NotInCoefficientDomain
from ue_cli.metadata.embedded import MetadataPolicy, Removed
from ue_cli.metadata.policy import filter_info
from ue_cli.metadata.segments import finish_jpeg
from ue_cli.types import Budget, Difference, Field, PixelArray

OVER_BUDGET = "over-budget"


@dataclass(frozen=True, slots=True)
class ProtectedImage:
    """A protected image as bytes, and all that was measured on them.

    Attributes:
        data: the file.
        pixels: what it decodes to.
        difference: between that and the original's pixels.
        route, reason: as in `FileRecord`.
        extension: what the output's name needs, where the type changed.
        removed: embedded copies that were dropped.
        notes: for the owner.
        linf_encoding: of a re-encoded JPEG, the L∞ before encoding.
    """

    data: bytes
    pixels: PixelArray
    difference: Difference
    route: str
    reason: str
    extension: str
    removed: tuple[Removed, ...]
    notes: tuple[str, ...]
    linf_encoding: int | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """What is written: the first three as `write.choose_format` gives them."""

    format: str
    extension: str
    note: str | None
    reason: str = ""


def make(
    data: bytes,
    decoded: Decoded,
    field: Field,
    budget: Budget,
    policy: MetadataPolicy,
    *,
    format: write.Requested,
    fill: bool,
) -> ProtectedImage:
    """Protect one decoded image.

    Args:
        data: the file's bytes.
        decoded: the image in them.
        field: the field of the displayed image.
        budget: the ball.
        policy: what happens to metadata.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        fill: no look bounds the field: a JPEG takes as much of it as the ball holds.

    Raises:
        SkipFile: the file cannot be protected; ``over-budget``: the budget could not be kept.
    """
    rows, columns = decoded.pixels.shape[:2]
    stored = oriented(field, decoded.orientation, rows, columns)
    target = _Target(*write.choose_format(decoded, format))
    if target.format == write.JPEG_COEFFICIENTS:
        try:
            return _in_coefficients(data, decoded, stored, budget, policy, fill)
        except NotInCoefficientDomain as refusal:
            target = replace(
                _Target(*write.choose_format(decoded, "png")),
                note=f"Written as PNG: {refusal.reason}.",
                reason=refusal.reason,
            )
    return _as_pixels(decoded, stored, budget, policy, target)


def _in_coefficients(
    data: bytes,
    decoded: Decoded,
    stored: Field,
    budget: Budget,
    policy: MetadataPolicy,
    fill: bool,
) -> ProtectedImage:
    """JPEG to JPEG: nothing is recompressed."""
    size, limit = decoded.pixels.shape[:2], decoded.pixels.size
    removed: tuple[Removed, ...] = ()

    def finish(written: bytes) -> bytes:
        nonlocal removed
        whole, removed = finish_jpeg(data, written, policy, (size[0], size[1]))
        return whole

    def look(written: bytes) -> NDArray[np.uint8]:
        return decode(written, max_pixels=limit).pixels.astype(np.uint8, copy=False)

    levels = decoded.pixels.astype(np.uint8, copy=False)
    result = protect_jpeg(
        data, levels, stored, budget, fill=fill, decode=look, measure=measure, finish=finish
    )
    _require_budget(result.difference, levels, budget)
    return ProtectedImage(
        data=result.data,
        pixels=result.pixels,
        difference=result.difference,
        route="jpeg-coefficients",
        reason="",
        extension="",
        removed=removed,
        notes=decoded.notes,
    )


def _as_pixels(
    decoded: Decoded, stored: Field, budget: Budget, policy: MetadataPolicy, target: _Target
) -> ProtectedImage:
    """Any image, encoded anew from its perturbed pixels."""
    limit = decoded.pixels.size
    info, removed = filter_info(decoded.info, policy)
    perturbed = apply.perturb(decoded.pixels, stored, budget)
    data = write.encode(replace(decoded, info=info), perturbed, target.format)
    pixels = decode(data, max_pixels=limit).pixels
    notes = (*decoded.notes, *((target.note,) if target.note else ()))
    if target.format == "JPEG":
        # A JPEG encoder moves pixels by itself: what is certified is what went into it.
        encoded = measure(decoded.pixels, perturbed).linf
        difference, route = measure(decoded.pixels, pixels), "jpeg-reencoded"
    else:
        encoded, route = None, "lossless"
        difference = measure(decoded.pixels, pixels)
        _require_budget(difference, decoded.pixels, budget)
    return ProtectedImage(
        data=data,
        pixels=pixels,
        difference=difference,
        route=route,
        reason=target.reason,
        extension=target.extension,
        removed=removed,
        notes=notes,
        linf_encoding=encoded,
    )


def _require_budget(difference: Difference, original: PixelArray, budget: Budget) -> None:
    """The last gate before a file is written.

    Raises:
        UeError: with exit code 5; the file is not written.
    """
    radius = budget.radius(original.dtype)
    if difference.linf > radius:
        raise UeError(
            "budget",
            f"A protected file would differ by {difference.linf} where {radius} is the budget; "
            "it was not written.",
            "This is a defect of ue: please report it with the file.",
            exit_code=ExitCode.VERIFICATION_FAILED,
        )
