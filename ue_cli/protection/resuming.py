"""A search's state on disk, often enough to lose little and seldom enough to cost little."""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch

from ue_cli.owner.pending import Pending

_SHARE = 0.05
"""Of the time of a search that may go into keeping its state."""


class SearchCheckpoint:
    """A `methods.rounds.Checkpoint` in the owner's state.

    Args:
        pending: where it lies.

    Attributes:
        resumed: whether a search went on from it.
    """

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self.resumed = False
        self._ended = time.monotonic()
        self._cost = 0.0

    def load(self, key: str) -> Mapping[str, Any] | None:
        """See `Checkpoint.load`; what is damaged is nothing."""
        raw = self._pending.read()
        if raw is None:
            return None
        try:
            checkpoint = torch.load(BytesIO(raw), map_location="cpu", weights_only=True)
            state: Mapping[str, Any] = checkpoint["state"]
            self.resumed = checkpoint["key"] == key
        except Exception:  # which errors damaged bytes raise there is not fixed
            return None
        return state if self.resumed else None

    def due(self) -> bool:
        """See `Checkpoint.due`: after the first round, then as `_SHARE` allows."""
        return _SHARE * (time.monotonic() - self._ended) >= self._cost

    def save(self, key: str, state: Mapping[str, Any]) -> None:
        """See `Checkpoint.save`."""
        began = time.monotonic()
        file = BytesIO()
        torch.save({"key": key, "state": state}, file)
        self._pending.keep(file.getbuffer())
        self._ended = time.monotonic()
        self._cost = self._ended - began
