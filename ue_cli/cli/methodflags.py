"""Flags that say how a perturbation is made: those of `ue protect` and of `ue optimize`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Method(StrEnum):
    """How a perturbation is made."""

    csd = "csd"
    pue = "pue"
    em = "em"
    tue = "tue"


class Preset(StrEnum):
    """TUE's recipe."""

    small = "small"
    targeted = "targeted"
    paper = "paper"
    released_simclr = "released-simclr"
    released_moco = "released-moco"
    released_simsiam = "released-simsiam"


class Surrogate(StrEnum):
    """What TUE's surrogate learns by."""

    simclr = "simclr"
    moco = "moco"
    simsiam = "simsiam"


class Per(StrEnum):
    """What has a pattern of its own."""

    class_ = "class"
    photo = "photo"


class Space(StrEnum):
    """Where CSD is optimised."""

    texture = "texture"
    pixel = "pixel"


class Gradient(StrEnum):
    """Which gradient of CSD is followed."""

    paper = "paper"
    released = "released"


EpsilonOption = Annotated[
    str,
    typer.Option(help="L∞ budget: 1 or more are 8-bit levels, below 1 a fraction; 8/255 too."),
]
LabelsOption = Annotated[
    str, typer.Option(help="auto, folders, metadata, clusters, single, or a CSV or JSONL file.")
]
MethodOption = Annotated[
    Method | None,
    typer.Option(
        help="csd needs no training; pue, em and tue train a surrogate on the photos. "
        "[default: csd]"
    ),
]
SpaceOption = Annotated[
    Space | None,
    typer.Option(help="Where CSD separates the classes: textures or pixels. [default: texture]"),
]
CellsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=256, help="Pixel space, pue, em, tue: cells per side of a pattern. [default: 8]"
    ),
]
GradientOption = Annotated[
    Gradient | None,
    typer.Option(
        help="CSD in pixel space, tue: the paper's gradient of CSD or the released code's. "
        "[default: paper; tue: its preset's]"
    ),
]
PerOption = Annotated[
    Per | None,
    typer.Option(
        help="pue, em, tue: one pattern per class or per photo. [default: class; tue: photo]"
    ),
]
PresetOption = Annotated[
    Preset | None,
    typer.Option(
        help="tue: small and targeted are for CPUs, targeted against models that learn without "
        "labels (give it --cells 32); paper and released-moco train ResNet-18 for hours on a "
        "GPU; released-simclr and released-simsiam give their surrogates no weight: they are CSD "
        "alone. [default: small]"
    ),
]
SurrogateOption = Annotated[
    Surrogate | None,
    typer.Option(
        help="tue: what the surrogate learns by. [default: simclr; a released preset has its own]"
    ),
]
ContrastiveOption = Annotated[
    float | None,
    typer.Option(
        help="tue: weight of the surrogate's loss; 0 is CSD alone. [default: the preset's]"
    ),
]
CsdOption = Annotated[
    float | None, typer.Option(help="tue: weight of CSD (λ). [default: the preset's]")
]
DeviceOption = Annotated[
    str, typer.Option(help="Pixel space, pue, em, tue: auto, cpu, cuda or mps.")
]
MaxPixelsOption = Annotated[
    int, typer.Option(min=1, help="Refuse larger images (decompression bombs).")
]
