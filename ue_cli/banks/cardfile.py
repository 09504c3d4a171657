"""Cards on disk: one JSON file beside the bank, read strictly.

What a card does not say, or says wrongly, is an error, since people choose by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ue_cli.banks.bank import no_constant
from ue_cli.banks.cards import FORMAT, FORMAT_VERSION, Card, Measurement, unavailable
from ue_cli.errors import UeError
from ue_cli.types import Budget

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HASH = re.compile(r"[0-9a-f]{64}")


def write_card(card: Card, path: Path) -> None:
    """Write a card; the same card always gives the same bytes."""
    text = json.dumps(card.to_json(), allow_nan=False, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        UeError: with exit code 4, saying which of its fields is missing or wrong.
    """
    try:
        value = json.loads(path.read_bytes(), parse_constant=no_constant)
    except FileNotFoundError:
        raise _defect(path.name, "there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _defect(path.name, f"it is not JSON ({error})") from error
    return card_from_json(value, path.name)


def is_card(path: Path) -> bool:
    """Whether a JSON file says that it is a card, whatever else is in it."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("format") == FORMAT


def card_from_json(value: Any, name: str) -> Card:
    """Inverse of `Card.to_json`, for input that may be damaged or hostile.

    Args:
        value: any JSON value.
        name: of the file, for messages.

    Raises:
        UeError: with exit code 4, saying which of its fields is missing or wrong.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _defect(name, "it does not say that it is one")
    if value.get("version") != FORMAT_VERSION:
        raise _defect(
            name,
            f"its format has version {value.get('version')!r} and this program reads "
            f"version {FORMAT_VERSION}",
        )
    values = _typed(name, value, _CARD | {"format": str, "version": int})
    measured = tuple(
        Measurement(**_typed(name, measurement, _MEASUREMENT, f"measured[{index}]."))
        for index, measurement in enumerate(values["measured"])
    )
    parts = {key: values[key] for key in _CARD}
    card = Card(
        **parts
        | {
            "recipe": MappingProxyType(values["recipe"]),
            "shape": tuple(values["shape"]),
            "classes": tuple(values["classes"]),
            "limits": tuple(values["limits"]),
            "measured": measured,
        }
    )
    _check_values(name, card)
    return card


_CARD: dict[str, type] = {
    "name": str,
    "dataset": str,
    "method": str,
    "space": str,
    "recipe": dict,
    "seed": str,
    "data": str,
    "levels": int,
    "shape": list,
    "classes": list,
    "bytes": int,
    "sha256": str,
    "created_by": str,
    "measured": list,
    "limits": list,
    "licence": str,
}
_MEASUREMENT: dict[str, type] = {
    "data": str,
    "files": str,
    "victim": str,
    "seed": int,
    "last": float,
    "best": float,
    "control_last": float,
    "control_best": float,
    "date": str,
}


def _typed(name: str, value: Any, kinds: Mapping[str, type], prefix: str = "") -> dict[str, Any]:
    """The fields of an object, all of them and no other, each of its type."""
    if not isinstance(value, dict):
        raise _defect(name, f"its field {prefix.rstrip('.')} is not an object")
    for key, kind in kinds.items():
        if key not in value:
            raise _defect(name, f"its field {prefix}{key} is missing")
        # A whole number is a float as well; True is no number at all.
        fits = type(value[key]) in ((float, int) if kind is float else (kind,))
        if not fits:
            raise _defect(name, f"its field {prefix}{key} is not a {kind.__name__}")
    extra = sorted(set(value) - set(kinds))
    if extra:
        raise _defect(name, f"it has a field that no card has: {prefix}{extra[0]}")
    return value


def _check_values(name: str, card: Card) -> None:
    try:
        Budget(card.levels)
    except UeError as error:
        raise _defect(name, error.message) from error
    if not all(type(n) is int and n > 0 for n in card.shape) or len(card.shape) != 5:
        raise _defect(name, f"its shape {list(card.shape)} is not (classes, per_class, 3, h, w)")
    named = all(isinstance(class_name, str) for class_name in card.classes)
    if not named or len(set(card.classes)) != len(card.classes) or len(card.classes) < 1:
        raise _defect(name, "its classes are not distinct names")
    checks = {
        "name": _NAME.fullmatch(card.name),
        "dataset": _NAME.fullmatch(card.dataset),
        "sha256": _HASH.fullmatch(card.sha256),
        "bytes": card.bytes > 0,
        "shape": card.shape[0] == len(card.classes) and card.shape[2] == 3,
        "limits": all(isinstance(sentence, str) for sentence in card.limits),
        "licence": card.licence,
    }
    for index, measurement in enumerate(card.measured):
        shares = (
            measurement.last,
            measurement.best,
            measurement.control_last,
            measurement.control_best,
        )
        checks[f"measured[{index}]"] = all(0 <= share <= 1 for share in shares)
        checks[f"measured[{index}].date"] = _is_date(measurement.date)
    for key, good in checks.items():
        if not good:
            raise _defect(name, f"its field {key} makes no sense")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _defect(name: str, why: str) -> UeError:
    return unavailable(
        "card-unreadable",
        f"{name} cannot be used as the card of a perturbation: {why}.",
        "Take it again from where it was published.",
    )
