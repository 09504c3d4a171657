"""Compress the training files again, at the size that they are trained at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ue_cli.countermeasures.filters import Filter


class Jpeg(Filter):
    """Once through a JPEG encoder and back, 4:2:0 (Liu et al., ICML 2023).

    The trainer stores the compressed files, so that it happens once and not in every epoch.

    Args:
        quality: as libjpeg counts it, 1 to 95.
    """

    def __init__(self, *, quality: int) -> None:
        self._quality = quality

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → what a viewer decodes of the JPEG files."""
        rows = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        # Pillow lets go of the interpreter while it compresses.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            out = np.stack(list(pool.map(partial(_again, quality=self._quality), rows)))
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous().to(images.device)


def _again(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))
