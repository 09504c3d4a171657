"""What an adversary may change in a training: the files, the tests, the augmentation, the loss.

The trainer knows this much of countermeasures and no more. One that changes nothing is `PLAIN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.training.augment import augmented
from ue_cli.training.precision import autocast
from ue_cli.training.publicbank import PublicBank

if TYPE_CHECKING:
    from ue_cli.training.ssl_recipes import SslRecipe
    from ue_cli.training.supervised import VictimRecipe

_PREPARING = 1 << 40
"""Added to the seed of what prepares the files: a stream apart from that of the steps."""

Arm = Literal["protected", "clean"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What an adversary has beside the published files and their labels; on any device.

    Attributes:
        clean: the originals of the training files in the same order, (n, 3, h, w) uint8.
        bank: a published perturbation as it lies on the training files.
    """

    clean: Tensor | None = None
    bank: PublicBank | None = None


NOTHING = Knowledge()


class Hooks(Protocol):
    """A countermeasure during training.

    Images are (n, 3, h, w), uint8 or floating point, in 0..255 but for rounding and for what a
    linear operation leaves outside. Every hook returns new tensors on the device of what it is
    given, changes nothing in place and draws from ``generator`` (on the CPU) alone.
    """

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """Change the training files, once, before the first epoch.

        Args:
            images: all of them.
            labels: (n,) int64.
            knowledge: what else the adversary has.
            generator: seeded for this training; no other hook draws from it.

        Returns:
            As many images in the same order, uint8 or floating point.

        Raises:
            ValueError: ``knowledge`` lacks what this countermeasure needs.
        """
        ...

    def test(self, images: Tensor) -> Tensor:
        """What a trained network is shown of clean images: the same operation, where it fits."""
        ...

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """What the network sees of some training files: (n, 3, size, size), (x − 118)/64.

        The victim's fit of its own files is measured under this, too.
        """
        ...

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """One training step's loss on a batch of training files that were not yet augmented.

        Args:
            net: in train mode; returned in it.
            images: the batch.
            labels: (n,) int64.
            recipe: for the augmentation and label smoothing.
            generator: of augmentations and everything else that is random in a step.

        Returns:
            The loss, and the logits (n, classes) that it came from.
        """
        ...

    def same_as_plain(self, recipe: VictimRecipe | SslRecipe, arm: Arm) -> bool:
        """Whether such a training is, bit by bit, the one without a countermeasure."""
        ...


class Plain:
    """Changes nothing; countermeasures inherit what they leave alone."""

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files as they were published."""
        return images

    def test(self, images: Tensor) -> Tensor:
        """The test images as they are."""
        return images

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """The recipe's own augmentation."""
        return augmented(images, recipe, generator)

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy on one augmented view of each image."""
        return cross_entropy(net, self.augment(images, recipe, generator), labels, recipe)

    def same_as_plain(self, recipe: VictimRecipe | SslRecipe, arm: Arm) -> bool:
        """True of this class alone."""
        return type(self) is Plain


PLAIN = Plain()


def treats_files_alone(hooks: Hooks) -> bool:
    """Whether it leaves every step as it is: then any way of learning from files can take it."""
    kind = type(hooks)
    return kind.loss is Plain.loss and kind.augment is Plain.augment


def prepared(
    hooks: Hooks, images: Tensor, labels: Tensor, knowledge: Knowledge, *, seed: int
) -> Tensor:
    """What `Hooks.prepare` makes of the training files in the training of that seed."""
    drawn = torch.Generator().manual_seed(seed + _PREPARING)
    return hooks.prepare(images, labels, knowledge, drawn)


def cross_entropy(
    net: nn.Module, views: Tensor, labels: Tensor, recipe: VictimRecipe
) -> tuple[Tensor, Tensor]:
    """The loss that every victim minimises, and the logits.

    Args:
        net: in any mode.
        views: (n, 3, size, size) normalised.
        labels: (n,) int64, or (n, classes) shares.
        recipe: for its label smoothing.
    """
    with autocast(views.device.type):
        logits: Tensor = net(views)
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    return loss, logits
