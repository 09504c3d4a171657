"""Class textures: what a class shares is a set of plane waves, what an image has is their phases.

    δ_i(u) = clip(g · Σ_k c_k cos(2π f_k·u + φ_ik), ±1)        u in units of the short side

A convolutional network with global pooling detects a texture wherever a crop has put it, and the
class mean of many phases vanishes, so that there is no pattern to average out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import shake_256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.types import FloatArray


@dataclass(frozen=True, slots=True)
class TextureRecipe:
    """What a random draw of a code may be.

    Attributes:
        waves: plane waves per class (K).
        low, high: band of |f| in cycles per short side.
        gain: g; large values give hard-edged waves that fill the ball.
    """

    waves: int = 3
    low: float = 8.0
    high: float = 16.0
    gain: float = 8.0


@dataclass(frozen=True, slots=True)
class TextureCode:
    """One class: frequencies (K, 2) as (fy, fx) in cycles per short side, colours (K, 3) RGB."""

    frequencies: FloatArray
    colours: FloatArray
    gain: float

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back to the same bits."""
        return {
            "frequencies": self.frequencies.astype(float).tolist(),
            "colours": self.colours.astype(float).tolist(),
            "gain": self.gain,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TextureCode:
        """Inverse of `to_json`."""
        return cls(
            np.asarray(value["frequencies"], np.float32),
            np.asarray(value["colours"], np.float32),
            float(value["gain"]),
        )


def uniforms(seed: bytes, count: int) -> NDArray[np.float64]:
    """``count`` numbers in [0, 1) that depend on ``seed`` alone, on every platform and version."""
    raw = np.frombuffer(shake_256(seed).digest(8 * count), "<u8")
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_code(seed: bytes, recipe: TextureRecipe) -> TextureCode:
    """Draw a class code: log-uniform |f| in the band, any direction, any colour direction."""
    u = uniforms(seed, 4 * recipe.waves).reshape(4, recipe.waves)
    radius = recipe.low * (recipe.high / recipe.low) ** u[0]
    angle = np.pi * u[1]
    height, turn = 2 * u[2] - 1, 2 * np.pi * u[3]
    ring = np.sqrt(1 - height**2)
    frequencies = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    colours = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    return TextureCode(
        frequencies.astype(np.float32), colours.astype(np.float32), float(recipe.gain)
    )


@dataclass(frozen=True, slots=True)
class TextureField:
    """A class's texture at one image's phases (the `Field` of that image).

    Attributes:
        code: the class's.
        phases: (K,) radians, the image's own.
        short_side: of the displayed image, in pixels.
    """

    code: TextureCode
    phases: FloatArray
    short_side: int

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid y × x (see `Field.sample`).

        A plane wave is an outer product of two complex exponentials, so its evaluation is one
        real matrix product: (m, 2K) @ (2K, 3n).
        """
        turn = 2 * np.pi / self.short_side * self.code.frequencies.astype(np.float64)
        rows = np.multiply.outer(y.astype(np.float64), turn[:, 0]) + self.phases
        columns = np.multiply.outer(turn[:, 1], x.astype(np.float64))
        left = np.concatenate([np.cos(rows), -np.sin(rows)], axis=1).astype(np.float32)
        waves = np.stack([np.cos(columns), np.sin(columns)]).astype(np.float32)
        colours = self.code.gain * self.code.colours
        right = waves[:, :, :, None] * colours[None, :, None, :]
        out = left @ right.reshape(left.shape[1], -1)
        np.clip(out, -1, 1, out=out)
        return out.reshape(len(y), len(x), 3)


def phases_for(seed: bytes, waves: int) -> FloatArray:
    """One image's phases, (waves,) in [0, 2π)."""
    return (2 * np.pi * uniforms(seed, waves)).astype(np.float32)


def recipe_to_json(recipe: TextureRecipe) -> dict[str, Any]:
    """The recipe as the report and the collection's state record it."""
    return asdict(recipe)


def recipe_from_json(value: Mapping[str, Any]) -> TextureRecipe:
    """Inverse of `recipe_to_json`; what else is recorded is passed over."""
    return TextureRecipe(**{one.name: value[one.name] for one in fields(TextureRecipe)})
