"""What makes a `Field` of a class that only knows its samples."""

from __future__ import annotations

from typing import Self

from ue_cli.types import FloatArray, project


class Sampled:
    """The rest of `Field`, beside ``sample``."""

    cycles: float = 1.0

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def softened(self) -> Self:
        return self

    def transformed(self, y: FloatArray, x: FloatArray, basis: FloatArray) -> FloatArray:
        return project(self, y, x, basis)
