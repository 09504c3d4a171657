"""Class textures: a class shares plane waves of one colour, and an image has their places.

    δ_i(u) = colour · clip(g · Σ_k Re(z_ik(u) exp(2πi f_k·u)), ±1)      u in units of the short side

A convolutional network with global pooling detects a texture wherever a crop has put it, and the
class mean of many phases vanishes, so that there is no pattern to average out. The phasors z_ik
come from `phases`, and how strong a picture carries it from `visibility`.

All of it is float64, rounded once at the end: files do not depend on the machine that made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from hashlib import shake_256
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ue_cli.types import FloatArray

Colours = Literal["quiet", "blue-yellow"]
Floats = NDArray[np.float64]

BLUE_YELLOW = (1.0, 1.0, -1.0)
"""A diagonal of the RGB cube, so that every channel has the whole ball; three quarters of it are
luma, which gray keeps and everybody sees."""

_GREEN = (-0.2126 / 0.7152, -0.0722 / 0.7152)
"""Of green per red and per blue, so that linear light keeps its luminance (BT.709)."""


@dataclass(frozen=True, slots=True)
class TextureRecipe:
    """What a random draw of a code may be.

    Attributes:
        waves: plane waves per class (K).
        low, high: band of |f| in cycles per short side.
        gain: g; large values give hard-edged waves that fill their amplitude.
        colours: ``quiet``: a direction without luminance, `quiet_colour` of an angle between
            ``first`` and ``last``; or `BLUE_YELLOW`.
        first, last: degrees.
        bandwidth: of the phases that a photo gives its waves, as a share of their frequencies; 0
            leaves the phases to the key.
    """

    waves: int = 1
    low: float = 12.0
    high: float = 20.0
    gain: float = 8.0
    colours: Colours = "quiet"
    first: float = 30.0
    last: float = 80.0
    bandwidth: float = 0.25


@dataclass(frozen=True, slots=True)
class TextureCode:
    """One class: frequencies (K, 2) as (fy, fx) in cycles per short side, one colour (3,) of RGB.

    The colour's largest channel is 1, so that the ball is full where the waves are at ±1.
    """

    frequencies: Floats
    colour: Floats
    gain: float

    @property
    def colours(self) -> Floats:
        """The colour of each wave, (K, 3)."""
        return np.tile(self.colour, (len(self.frequencies), 1))

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back to the same bits."""
        return {
            "frequencies": self.frequencies.tolist(),
            "colour": self.colour.tolist(),
            "gain": self.gain,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TextureCode:
        """Inverse of `to_json`."""
        return cls(
            np.asarray(value["frequencies"], np.float64),
            np.asarray(value["colour"], np.float64),
            float(value["gain"]),
        )


def uniforms(seed: bytes, count: int) -> Floats:
    """``count`` numbers in [0, 1) that depend on ``seed`` alone, on every platform and version."""
    raw = np.frombuffer(shake_256(seed).digest(8 * count), "<u8")
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def quiet_colour(degrees: float) -> Floats:
    """A colour (3,) that moves red and blue in this proportion and keeps the luminance.

    0 is red against green, 45 magenta against green, 90 blue against yellow: of the colours that
    differ equally from gray these are the ones that a viewer sees least, and between them lies
    what photographs, which vary along daylight, have least of.
    """
    red, blue = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    colour = np.array([red, _GREEN[0] * red + _GREEN[1] * blue, blue])
    quiet: Floats = colour / np.abs(colour).max()
    return quiet


def draw_code(seed: bytes, recipe: TextureRecipe) -> TextureCode:
    """Draw a code: log-uniform |f| in the band, any direction, a colour as the recipe says."""
    u = uniforms(seed, 2 * recipe.waves + 1)
    radius = recipe.low * (recipe.high / recipe.low) ** u[: recipe.waves]
    angle = np.pi * u[recipe.waves : -1]
    frequencies = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    colour = np.array(BLUE_YELLOW)
    if recipe.colours == "quiet":
        colour = quiet_colour(recipe.first + (recipe.last - recipe.first) * u[-1])
    return TextureCode(frequencies, colour, float(recipe.gain))


@dataclass(frozen=True, slots=True)
class TextureField:
    """A class's texture in one image at full amplitude (the `Field` of that image).

    Attributes:
        code: the class's.
        phasors: (K, rows, columns) complex: where each wave stands, at the nodes of a grid that is
            stretched from edge to edge, linear in between; one node holds for the whole frame.
        height, width: of the displayed image, in pixels.
    """

    code: TextureCode
    phasors: NDArray[np.complex128]
    height: int
    width: int

    @property
    def cycles(self) -> float:
        """Of its finest wave."""
        return float(np.hypot(self.code.frequencies[:, 0], self.code.frequencies[:, 1]).max())

    def sample(self, y: FloatArray, x: FloatArray) -> Floats:
        """Evaluate on the outer grid y × x (see `Field.sample`)."""
        return self.wave(y, x)[:, :, None] * self.code.colour

    def wave(self, y: FloatArray, x: FloatArray) -> Floats:
        """The part that all channels share, (m, n) in [−1, 1].

        Waves and interpolation are separable, so that all of it is one real matrix product:
        (m, 2KG) @ (2KG, n) with the G rows of nodes that the positions lie between.
        """
        turn = 2j * np.pi / min(self.height, self.width) * self.code.frequencies
        _, rows, columns = self.phasors.shape
        down, first, last = _hats(y, self.height, rows)
        across, left, right = _hats(x, self.width, columns)
        nodes = self.phasors[:, first:last, left:right]
        carried = (nodes @ across.T) * np.exp(np.multiply.outer(turn[:, 1], x))[:, None]
        waves = down[:, None] * np.exp(np.multiply.outer(y, turn[:, 0]))[:, :, None]
        flat = waves.reshape(len(y), -1)
        mixing = np.concatenate([flat.real, -flat.imag], axis=1)
        parts = np.stack([carried.real, carried.imag]).reshape(mixing.shape[1], -1)
        out: Floats = mixing @ (self.code.gain * parts)
        np.clip(out, -1, 1, out=out)
        return out

    def transformed(self, y: FloatArray, x: FloatArray, basis: FloatArray) -> Floats:
        """Evaluate the waves themselves, their edges left soft (see `Field.transformed`).

        Without the clip all of it is separable: one matrix product of the axes' own transforms.
        """
        turn = 2j * np.pi / min(self.height, self.width) * self.code.frequencies
        _, rows, columns = self.phasors.shape
        down, first, last = _hats(y.reshape(-1), self.height, rows)
        across, left, right = _hats(x.reshape(-1), self.width, columns)
        count, r = len(self.code.frequencies), basis.shape[1]
        waves = np.exp(np.multiply.outer(turn[:, 0], y))[..., None] * down.reshape(*y.shape, -1)
        waves = np.einsum("kypg,pi->yikg", waves, basis, optimize=True)
        turns = np.exp(np.multiply.outer(turn[:, 1], x))[..., None] * across.reshape(*x.shape, -1)
        turns = np.einsum("kxph,pj->kxjh", turns, basis, optimize=True).reshape(
            count, -1, across.shape[1]
        )
        carried = self.phasors[:, first:last, left:right] @ turns.swapaxes(1, 2)
        out = np.empty((len(y), len(x), r, r))
        # A block row lies between two rows of nodes or three: strips leave the others out.
        for top in range(0, len(y), _ROWS):
            strip = waves[top : top + _ROWS].reshape(-1, count, last - first)
            near = np.flatnonzero(np.abs(strip).max(axis=(0, 1)))
            low, high = near[0], near[-1] + 1
            flat = strip[..., low:high].reshape(len(strip), -1)
            part = carried[:, low:high].reshape(flat.shape[1], -1)
            product = flat.real @ part.real - flat.imag @ part.imag
            out[top : top + _ROWS] = product.reshape(-1, r, len(x), r).transpose(0, 2, 1, 3)
        strength = fundamental(self.code.gain) / np.sqrt(count)
        coloured: Floats = out[..., None] * (strength * self.code.colour)
        return coloured

    def softened(self) -> TextureField:
        """The same waves without edges: of one wave, the wave itself."""
        return replace(self, code=replace(self.code, gain=1.0))

    def weighted(self, share: Floats) -> TextureField:
        """The waves at other amplitudes at their nodes, (rows, columns)."""
        return replace(self, phasors=self.phasors * share)


_ROWS = 8


def fundamental(gain: float) -> float:
    """Amplitude of the first harmonic of clip(gain · cos, ±1), 4/π for a square wave."""
    if gain <= 1:
        return gain
    edge = 1 / gain
    return float(2 / np.pi * (gain * np.arcsin(edge) + np.sqrt(1 - edge**2)))


def _hats(position: FloatArray, length: int, nodes: int) -> tuple[Floats, int, int]:
    """Weights of linear interpolation, (n, last − first), and which nodes they are for."""
    at = np.clip(position.astype(np.float64) * ((nodes - 1) / length), 0, nodes - 1)
    first, last = int(at.min(initial=nodes - 1)), min(nodes, int(at.max(initial=0)) + 2)
    distance = np.abs(at[:, None] - np.arange(first, last))
    weights: Floats = np.maximum(1 - distance, 0)
    return weights, first, last


def phases_for(seed: bytes, waves: int) -> Floats:
    """One image's phases, (waves,) in [0, 2π)."""
    return 2 * np.pi * uniforms(seed, waves)


def recipe_to_json(recipe: TextureRecipe) -> dict[str, Any]:
    """The recipe as the report and the collection's state record it."""
    return asdict(recipe)


def recipe_from_json(value: Mapping[str, Any]) -> TextureRecipe:
    """Inverse of `recipe_to_json`; what else is recorded is passed over."""
    return TextureRecipe(**{field.name: value[field.name] for field in fields(TextureRecipe)})
