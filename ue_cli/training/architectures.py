"""The victims by name. Nothing here needs torch: flags and help texts read this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ue_cli.errors import UeError, unknown_name

VictimName = Literal[
    "small",
    "resnet18",
    "resnet50",
    "densenet121",
    "vit-tiny",
    "probe",
    "fine-tune",
    "simclr",
    "moco",
    "simsiam",
]

VICTIMS: tuple[VictimName, ...] = get_args(VictimName)


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is to be said about a victim before it is built.

    Attributes:
        title: its usual name.
        paper: where it comes from.
        optimiser: what it is trained with: ``sgd`` (Nesterov) or ``adamw``; of an encoder its
            recipe says it.
        pretrained: it begins with weights that have to be on the disk (`backbones`).
        encoder: it learns without labels (`ssl_recipes`), and is read out with them.
    """

    title: str
    paper: str
    optimiser: Literal["sgd", "adamw"] = "sgd"
    pretrained: bool = False
    encoder: bool = False


ARCHITECTURES: dict[VictimName, Architecture] = {
    "small": Architecture("small ResNet", "He et al., CVPR 2016; narrow, for CPUs"),
    "resnet18": Architecture("ResNet-18", "He et al., CVPR 2016"),
    "resnet50": Architecture("ResNet-50", "He et al., CVPR 2016"),
    "densenet121": Architecture("DenseNet-121", "Huang et al., CVPR 2017"),
    "vit-tiny": Architecture("ViT-Tiny", "Touvron et al., ICML 2021 (DeiT-Ti)", "adamw"),
    "probe": Architecture(
        "linear probe on a pretrained network", "He et al., CVPR 2022, A.1", pretrained=True
    ),
    "fine-tune": Architecture(
        "fine-tuned pretrained network", "Kornblith et al., CVPR 2019", pretrained=True
    ),
    "simclr": Architecture("SimCLR encoder", "Chen et al., ICML 2020", encoder=True),
    "moco": Architecture(
        "MoCo v2 encoder", "He et al., CVPR 2020; Chen et al., 2020", encoder=True
    ),
    "simsiam": Architecture("SimSiam encoder", "Chen & He, CVPR 2021", encoder=True),
}


CLASSIFIERS = tuple(name for name in VICTIMS if not ARCHITECTURES[name].encoder)
"""Victims that learn from the labels."""

FROM_SCRATCH = tuple(name for name in CLASSIFIERS if not ARCHITECTURES[name].pretrained)
"""Classifiers whose first weights are drawn, so that trainings of them are independent."""


def find_victim(name: str, among: Sequence[VictimName] = VICTIMS) -> VictimName:
    """The victim of that name.

    Args:
        name: as it was asked for.
        among: those that will do.

    Raises:
        UeError: ``victim-unknown``; the hint lists what there is, the closest first.
    """
    for victim in among:
        if victim == name:
            return victim
    if name in VICTIMS:
        raise UeError(
            "victim-unknown",
            f"The victim {name} cannot be used here.",
            f"`ue evaluate --victim {name}` trains it. Here there are: {', '.join(among)}.",
        )
    raise unknown_name("victim-unknown", f"There is no victim {name!r} here.", name, among)


def patch_side(size: int) -> int:
    """Side of ViT-Tiny's patches: 4 pixels for images of up to 64, else 16.

    Args:
        size: side of the input, in pixels.
    """
    return 4 if size <= 64 else 16
