"""What the field publishes: one array of perturbations in a ``.pt``, ``.npy`` or ``.npz`` file.

TUE's (50000, 3, 32, 32) float32 and EM's and PUE's (10, 3, 32, 32) say neither their units nor
their classes. Units are found where the values leave no doubt; classes have to be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ue_cli import __version__
from ue_cli.banks.arrayfile import MOST_VALUES, SUFFIXES, read_array, unusable
from ue_cli.banks.cards import file_sha256
from ue_cli.banks.transfer import mix, mixtures, over_budget
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget, Provenance

__all__ = ["ORDERS", "SUFFIXES", "Units", "read_order", "read_published"]

Units = Literal["fraction", "levels", "epsilon"]
"""Of full scale (images in 0..1), 8-bit levels, or of ε."""

UNITS: dict[Units, str] = {
    "fraction": "fractions of full scale",
    "levels": "8-bit levels",
    "epsilon": "multiples of epsilon",
}

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
ORDERS = {"cifar10": tuple(CIFAR10.split())}
"""Class names by index, as torchvision numbers them."""

MOST_CLASSES = 1000
"""Rows that are taken for classes where nothing says what they are."""
MOST_LEVELS = 64
MAKER = f"ue {__version__}"
_SLACK = 1.005  # 8/255 as a bfloat16 is 0.4 % more
_CHUNK = 1 << 22


def read_published(
    path: Path,
    budget: Budget,
    *,
    order: Sequence[str] | None = None,
    units: Units | None = None,
    rescale: bool = False,
) -> Bank:
    """Turn a published file into a bank; its values are rounded to levels, never cut or shifted.

    Args:
        path: holds one array, (rows, 3, h, w) or (rows, h, w, 3), of floats or signed integers.
        budget: the ball that its values have to lie in.
        order: the class of each row. Distinct names make a class-wise bank; repeated ones a bank
            of samples, of which classes with fewer get mixtures (see `transfer`). None: each row
            is a class, named by its number.
        units: of the values; None: found from them.
        rescale: multiply everything so that the largest value just fits the budget.

    Raises:
        UeError: with exit code 4: unreadable, unsafe, of another shape, not finite, of unclear
            units, or beyond the budget.
    """
    values, kind = read_array(path)
    rows = _rows(path, values)
    if order is None and len(rows) > MOST_CLASSES:
        raise _order_missing(path, len(rows))
    if order is not None and len(order) != len(rows):
        if len(set(order)) == len(order) and len(rows) % len(order) == 0:
            raise _order_missing(path, len(rows))
        raise unusable(
            path,
            f"it has {len(rows):,} rows, and --order names {len(order):,}",
            "Give a text file with one class per row of the perturbation, a line each.",
        )
    most = _largest(path, rows)
    scale, words = _scale(path, most, values.dtype, units, budget, rescale)
    if not rescale and most * scale > budget.levels * _SLACK:
        raise over_budget(most * scale, budget)
    levels = np.empty(rows.shape, np.int8)
    for part in _parts(rows):
        levels[part] = np.rint(rows[part].astype(np.float64) * scale)
    if not levels.any():
        raise unusable(path, "all its values round to zero levels", "Say what they are: --units.")
    names = [str(row) for row in range(len(rows))] if order is None else list(order)
    per_class = len(set(names)) == len(names)
    recipe = {
        "file": path.name,
        "sha256": file_sha256(path),
        "format": f"{kind}, {values.dtype}, {'×'.join(map(str, values.shape))}",
        "units": words,
        "rows": "one per class" if per_class else "one per image",
        "largest": round(most * scale, 3),
    }
    delta, classes = (levels[:, None], tuple(names)) if per_class else _grouped(levels, names)
    return Bank(delta, classes, budget, Provenance("published", "pixel", recipe, MAKER))


def read_order(order: str) -> tuple[str, ...]:
    """The class of each row: a name out of `ORDERS`, or a text file with one class per line.

    Raises:
        UeError: with exit code 4: neither.
    """
    if order in ORDERS:
        return ORDERS[order]
    path = Path(order)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UeError(
            "perturbation-order",
            f"--order expects {', '.join(ORDERS)} or a text file with one class per line; "
            f"{path.name} cannot be read: {why or error}.",
            "Leave it out where each row of the file is a class of its own.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        ) from error
    names = tuple(line.strip() for line in lines)
    if not names or not all(names):
        raise UeError(
            "perturbation-order",
            f"--order expects a class on every line; {path.name} has empty ones.",
            "Write one class per row of the perturbation.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        )
    return names


def _rows(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """The array as (rows, 3, h, w)."""
    shape = values.shape
    if values.dtype.kind not in "fi":
        why = f"its values are {values.dtype}"
        if values.dtype.kind == "u":
            why += ", which has lost every negative one"
        raise unusable(path, why, "Get it as floats or as signed integers.")
    if min(shape) < 1 or 3 not in (shape[1], shape[3]):
        raise unusable(
            path,
            f"perturbations of three channels were expected, (rows, 3, height, width), and its "
            f"shape is {shape}",
        )
    if values.size > MOST_VALUES:
        raise unusable(path, f"its {values.size:,} values are more than {MOST_VALUES:,}")
    return values if shape[1] == 3 else values.transpose(0, 3, 1, 2)


def _parts(rows: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _CHUNK // rows[0].size)
    for start in range(0, len(rows), step):
        yield slice(start, start + step)


def _largest(path: Path, rows: NDArray[Any]) -> float:
    """Max |value|, all of them being finite."""
    # Two extremes instead of |values|: -128 has no absolute value among int8.
    ends = [(float(rows[part].min()), float(rows[part].max())) for part in _parts(rows)]
    most = float(np.abs(ends).max())
    if not np.isfinite(most):
        raise unusable(path, "some of its values are not finite numbers")
    return most


def _scale(
    path: Path,
    most: float,
    dtype: np.dtype[Any],
    units: Units | None,
    budget: Budget,
    rescale: bool,
) -> tuple[float, str]:
    """What a value has to be multiplied by to give levels, and why, in words."""
    if most == 0:
        raise unusable(path, "all its values are zero")
    if rescale:
        return budget.levels / most, "multiplied to fill the budget, as asked"
    factors: dict[Units, float] = {"fraction": 255, "levels": 1, "epsilon": budget.levels}
    if units is not None:
        return factors[units], f"{UNITS[units]}, as given"
    if most > MOST_LEVELS * _SLACK:
        raise unusable(path, f"its values reach {most:.4g}: these are pixels, not a perturbation")
    if most > _SLACK:
        return 1, f"{UNITS['levels']}, found from values up to {most:.4g}"
    if dtype.kind == "f" and most * 255 <= MOST_LEVELS * _SLACK:
        return 255, f"{UNITS['fraction']}, found from values up to {most:.4g}"
    raise UeError(
        "perturbation-units",
        f"{path.name} has values up to {most:.4g}, which may be fractions of full scale, 8-bit "
        "levels or multiples of epsilon.",
        "Say which: --units fraction, --units levels or --units epsilon.",
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )


def _grouped(
    levels: NDArray[np.int8], order: Sequence[str]
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Rows by class, in their order, (classes, most of any class, 3, h, w)."""
    names, which, counts = np.unique(np.array(order), return_inverse=True, return_counts=True)
    members = np.split(np.argsort(which, kind="stable"), np.cumsum(counts)[:-1])
    most = int(counts.max())
    first = np.stack([np.resize(rows, most) for rows in members])
    delta = levels[first]
    for index, rows in enumerate(members):
        a, b, share = mixtures(len(rows), 0, most - len(rows), 0)
        mixed = mix(levels[rows[a]], levels[rows[b]], share[:, None, None, None])
        delta[index, len(rows) :] = mixed
    return delta, tuple(map(str, names))


def _order_missing(path: Path, rows: int) -> UeError:
    hint = "Give --order FILE, a text file with the class of each row, a line each."
    if rows == 50_000:
        hint += (
            ' For CIFAR-10: python -c "from torchvision.datasets import CIFAR10; '
            "d = CIFAR10('.', download=True); open('order.txt', 'w').write("
            "'\\n'.join(d.classes[t] for t in d.targets))\""
        )
    return UeError(
        "perturbation-order",
        f"{path.name} has {rows:,} rows, one per image, and does not say which class each is of.",
        hint,
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )
