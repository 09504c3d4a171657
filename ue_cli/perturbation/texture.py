"""Class textures: what a class shares is a set of plane waves, what an image has is their places.

    δ_i(u) = clip(g · Σ_k c_k Re(z_ik(u) exp(2πi f_k·u)), ±1)        u in units of the short side

A convolutional network with global pooling detects a texture wherever a crop has put it, and the
class mean of many phases vanishes, so that there is no pattern to average out. The phasors z_ik
come from `phases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import shake_256
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ue_cli.types import FloatArray

Colours = Literal["any", "blue-yellow"]

BLUE_YELLOW = np.array([1, 1, -1]) / np.sqrt(3)
"""A diagonal of the RGB cube, so that every channel has the whole ball. Gray keeps 0.77 of it and
Cb all; of red to cyan, gray keeps 0.40, of green to magenta 0.17, and gray itself has no chroma."""


@dataclass(frozen=True, slots=True)
class TextureRecipe:
    """What a random draw of a code may be.

    Attributes:
        waves: plane waves per class (K).
        low, high: band of |f| in cycles per short side.
        gain: g; large values give hard-edged waves that fill the ball.
        colours: ``any`` direction in RGB, or `BLUE_YELLOW` alone.
        bandwidth: of the phases that a photo gives its waves, as a share of their frequencies; 0
            leaves the phases to the key.
    """

    waves: int = 2
    low: float = 4.0
    high: float = 8.0
    gain: float = 8.0
    colours: Colours = "blue-yellow"
    bandwidth: float = 0.25


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
    """Draw a class code: log-uniform |f| in the band, any direction, colours as the recipe says."""
    u = uniforms(seed, 4 * recipe.waves).reshape(4, recipe.waves)
    radius = recipe.low * (recipe.high / recipe.low) ** u[0]
    angle = np.pi * u[1]
    height, turn = 2 * u[2] - 1, 2 * np.pi * u[3]
    ring = np.sqrt(1 - height**2)
    frequencies = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    colours = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    if recipe.colours == "blue-yellow":
        colours = np.tile(BLUE_YELLOW, (recipe.waves, 1))
    return TextureCode(
        frequencies.astype(np.float32), colours.astype(np.float32), float(recipe.gain)
    )


@dataclass(frozen=True, slots=True)
class TextureField:
    """A class's texture in one image (the `Field` of that image).

    Attributes:
        code: the class's.
        phasors: (K, rows, columns) complex: where each wave stands, at the nodes of a grid that is
            stretched from edge to edge, linear in between; one node holds for the whole frame.
        height, width: of the displayed image, in pixels.
    """

    code: TextureCode
    phasors: NDArray[np.complex64]
    height: int
    width: int

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid y × x (see `Field.sample`).

        Waves and interpolation are separable, so that all of it is one real matrix product:
        (m, 2KG) @ (2KG, 3n) with the G rows of nodes that the positions lie between.
        """
        turn = 2j * np.pi / min(self.height, self.width) * self.code.frequencies.astype(np.float64)
        _, rows, columns = self.phasors.shape
        down, first, last = _hats(y, self.height, rows)
        across, left, right = _hats(x, self.width, columns)
        nodes = self.phasors[:, first:last, left:right]
        carried = (nodes @ across.T) * np.exp(np.multiply.outer(turn[:, 1], x))[:, None]
        waves = down[:, None] * np.exp(np.multiply.outer(y, turn[:, 0]))[:, :, None]
        flat = waves.reshape(len(y), -1)
        mixing = np.concatenate([flat.real, -flat.imag], axis=1).astype(np.float32)
        parts = np.stack([carried.real, carried.imag]).astype(np.float32)
        colours = self.code.gain * self.code.colours
        right_hand = parts[..., None] * colours[:, None, None, :]
        out = mixing @ right_hand.reshape(mixing.shape[1], -1)
        np.clip(out, -1, 1, out=out)
        return out.reshape(len(y), len(x), 3)


def _hats(position: FloatArray, length: int, nodes: int) -> tuple[FloatArray, int, int]:
    """Weights of linear interpolation, (n, last − first), and which nodes they are for."""
    at = np.clip(position.astype(np.float64) * ((nodes - 1) / length), 0, nodes - 1)
    first, last = int(at.min(initial=nodes - 1)), min(nodes, int(at.max(initial=0)) + 2)
    distance = np.abs(at[:, None] - np.arange(first, last))
    return np.maximum(1 - distance, 0).astype(np.float32), first, last


def phases_for(seed: bytes, waves: int) -> FloatArray:
    """One image's phases, (waves,) in [0, 2π)."""
    return (2 * np.pi * uniforms(seed, waves)).astype(np.float32)


FIRST: dict[str, Any] = {"colours": "any", "bandwidth": 0.0}
"""What collections had before the recipe said so: any colour, and phases from the key."""


def recipe_to_json(recipe: TextureRecipe) -> dict[str, Any]:
    """The recipe as the report and the collection's state record it."""
    return asdict(recipe)


def recipe_from_json(value: Mapping[str, Any]) -> TextureRecipe:
    """Inverse of `recipe_to_json`; what else is recorded is passed over."""
    known = {**FIRST, **value}
    return TextureRecipe(**{one.name: known[one.name] for one in fields(TextureRecipe)})
