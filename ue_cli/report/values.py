"""Frozen values as JSON, and back again."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ue_cli.report.words import visible

T = TypeVar("T")


def plain(value: Any) -> Any:
    r"""Turn frozen values into what JSON holds.

    Dataclasses and mappings become objects, tuples lists, infinite numbers null, bytes base64. A
    name that is not UTF-8 has its stray bytes spelled ``\x80``: strict readers refuse lone
    surrogates.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if isinstance(value, str):
        return value if _encodes(value) else visible(value)
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    return value


def rebuild(kind: type[T], value: Any) -> T:
    """Turn parsed JSON into the frozen value that `plain` made it from.

    Args:
        kind: a dataclass whose fields are numbers, texts, bytes, tuples, mappings, literals,
            options and dataclasses of these. A field that is None by default may be missing, as it
            is from records that are older than it.
        value: from a file that anybody may have damaged.

    Raises:
        ValueError: a field is missing, is unknown, or holds something else than ``kind`` says.
    """
    built: T = _build(kind, value)
    return built


def _build(kind: Any, value: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        later = {field.name for field in fields(kind) if field.default is None}
        if not isinstance(value, dict) or not hints.keys() - later <= value.keys() <= hints.keys():
            raise _unfit(kind, value)
        return kind(**{name: _build(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if origin is tuple and isinstance(value, list):
        if parts[-1] is Ellipsis:
            return tuple(_build(parts[0], item) for item in value)
        if len(parts) == len(value):
            return tuple(_build(part, item) for part, item in zip(parts, value, strict=True))
    elif origin is Mapping and isinstance(value, dict):
        return {key: _build(parts[1], item) for key, item in value.items()}
    elif origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _build(next(part for part in parts if part is not NoneType), value)
    elif origin is Literal and isinstance(value, str) and value in parts:
        return value
    elif kind is float and type(value) in (int, float) and isfinite(value):
        return float(value)
    elif kind in (int, str) and type(value) is kind:
        return value
    elif kind is bytes and isinstance(value, str):
        return b64decode(value, validate=True)
    raise _unfit(kind, value)


def _unfit(kind: Any, value: Any) -> ValueError:
    return ValueError(f"expected {getattr(kind, '__name__', kind)}, found {str(value)[:80]!r}")


def dumps(value: Any, indent: int = 0) -> str:
    """Format plain values for people: one field per line, a list of numbers on one line."""
    pad, end = "\n" + " " * (indent + 1), "\n" + " " * indent
    if isinstance(value, dict) and value:
        lines = (f"{_scalar(key)}: {dumps(item, indent + 1)}" for key, item in value.items())
        return "{" + pad + f",{pad}".join(lines) + end + "}"
    if isinstance(value, list) and any(isinstance(item, (dict, list, str)) for item in value):
        return "[" + pad + f",{pad}".join(dumps(item, indent + 1) for item in value) + end + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def load_as(kind: type[T], schema: str, text: str) -> T:
    """Read a record that says which schema it has.

    Raises:
        ValueError: it has another one, or is damaged.
    """
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or value.pop("schema", None) != schema:
            raise ValueError(f"expected {schema}")
        return rebuild(kind, value)
    except (RecursionError, OverflowError) as error:
        raise ValueError("nested too deep, or a number too large") from error
