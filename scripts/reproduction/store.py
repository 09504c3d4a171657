"""Results as one JSON file that is whole at all times, and the images and weights beside it."""

from __future__ import annotations

import fcntl
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from ue_cli import __version__

Key = Mapping[str, Any]
Row = dict[str, Any]

_LIBRARIES = ("torch", "numpy", "pillow")


class Store:
    """Rows, each under a key of its own, and the arrays that later pieces need.

    Args:
        path: the JSON file.
        work: folder for arrays.
        header: what stands before the rows.
        others: files whose rows count as well, and stay as they are.
    """

    def __init__(
        self, path: Path, work: Path, header: Mapping[str, Any], others: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self.work = work
        self._header = dict(header)
        self._others = tuple(others)
        work.mkdir(parents=True, exist_ok=True)

    def rows(self) -> list[Row]:
        """All rows, its own first."""
        return [row for path in (self.path, *self._others) for row in read_rows(path)]

    def find(self, key: Key) -> Row | None:
        """The row with this key, or None."""
        for row in self.rows():
            if all(row.get(name) == value for name, value in key.items()):
                return row
        return None

    def add(self, key: Key, values: Mapping[str, Any]) -> Row:
        """Add a row, or replace the one of this key; the file is replaced whole."""
        row = {
            **key,
            **values,
            "machine": platform.processor() or platform.machine(),
            "versions": {
                "ue": __version__,
                **{p: version(p) for p in ("torch", "numpy", "pillow")},
            },
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several scales may run side by side
            kept = [r for r in read_rows(self.path) if any(r.get(k) != v for k, v in key.items())]
            rows = sorted([*kept, row], key=_order)
            lines = ",\n".join(json.dumps(r) for r in rows)
            head = json.dumps(self._header, indent=1)[:-2]
            draft = self.path.with_name(self.path.name + ".draft")
            draft.write_text(f'{head},\n "rows": [\n{lines}\n]}}\n')
            draft.replace(self.path)
        return row

    def file(self, key: Key, suffix: str) -> Path:
        """Where an array of this key lies."""
        return self.work / ("-".join(str(value) for value in key.values()) + suffix)

    def save_images(self, key: Key, images: NDArray[np.uint8]) -> None:
        """Keep protected images."""
        np.savez(self.file(key, ".npz"), images=images)

    def load_images(self, key: Key) -> NDArray[np.uint8]:
        """Those images again."""
        with np.load(self._existing(key, ".npz")) as found:
            images: NDArray[np.uint8] = found["images"]
        return images

    def save_weights(self, key: Key, state: Mapping[str, Tensor]) -> None:
        """Keep a network's state."""
        save_file({n: v.contiguous() for n, v in state.items()}, self.file(key, ".safetensors"))

    def load_weights(self, key: Key) -> dict[str, Tensor]:
        """That state again."""
        return load_file(self._existing(key, ".safetensors"))

    def _existing(self, key: Key, suffix: str) -> Path:
        path = self.file(key, suffix)
        if not path.exists():
            raise SystemExit(f"{path} is gone; take the row of {dict(key)} out to make it again.")
        return path


def read_rows(path: Path) -> list[Row]:
    """The rows of one file; none where there is no file."""
    found: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return found


_ORDER = (
    "scale",
    "piece",
    "dataset",
    "arm",
    "victim",
    "correspondence",
    "countermeasure",
    "seed",
    "surrogate",
    "setting",
)


def _order(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name, "")) for name in _ORDER)
