"""A term against linear probes of encoders that learn without labels; ours, not TUE's.

CSD separates the classes' δ, but an encoder that learns which views are of one image keeps little
of δ as such. Its features can be moved, though: each image's go where those of the *next* class
are, as adversarial poisons do to supervised networks (Fowl et al., *Adversarial Examples Make
Strong Poisons*, NeurIPS 2021). A probe of such features learns to call the next class's content by
this image's label.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.training.contrastive import Contrast
from ue_cli.training.readout import LinearReadout, linear_readout
from ue_cli.training.ssl import encoded
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.views import apply_view, draw_view

_DECAY = 1e-2
"""Of the readout: of an encoder's standardised features, a fit that has few directions of noise."""


class Targeted:
    """What an encoder makes of the originals, and the way to the next class from there.

    Args:
        net: the surrogate; left in eval mode.
        images: (n, 3, h, w) uint8, the originals.
        labels: (n,) int64.
    """

    def __init__(self, net: Contrast, images: Tensor, labels: Tensor) -> None:
        present, index = torch.unique(labels, return_inverse=True)
        self._net = net
        self._next = (index + 1) % len(present)
        # A clone, as what inference mode has made cannot take part in a gradient.
        features = encoded(net, images).clone()
        self.readout: LinearReadout = linear_readout(features, index, len(present), decay=_DECAY)

    def loss(self, images: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy between what is read in a view of some images and their next class.

        Args:
            images: (k, 3, h, w) in 0..255.
            chosen: (k,) which images these are.
            generator: of the views.
        """
        recipe = reading(self._net.recipe)
        view = apply_view(images, draw_view(len(images), recipe, generator), recipe)
        logits = self.readout.of(self._net.encode(view))
        return functional.cross_entropy(logits, self._next[chosen])


def reading(recipe: SslRecipe) -> SslRecipe:
    """The views of a reader: in their own colours, as a probe sees them, but cropped.

    What holds at one place of one frame does not hold for another encoder.
    """
    return replace(recipe, min_scale=max(recipe.min_scale, 0.35), jittered=0.0, gray=0.0)
