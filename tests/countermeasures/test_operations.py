"""Operations on batches against torchvision's on one image at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as vision

from tests.countermeasures.small import draw, photos
from ue_cli.countermeasures import operations
from ue_cli.countermeasures.jitter import ColourJitter
from ue_cli.countermeasures.randaugment import (
    RAND_AUGMENT,
    TRIVIAL_AUGMENT_WIDE,
    RandAugment,
    Space,
    random_operation,
)
from ue_cli.countermeasures.ueraser import plasma
from ue_cli.training import colours

IMAGES = photos(5, height=24, width=16)[0].float()

COLOURS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], list[float]]] = {
    "brightness": (colours.brightness, vision.adjust_brightness, [0, 0.3, 1, 1.4, 1.9]),
    "contrast": (colours.contrast, vision.adjust_contrast, [0, 0.3, 1, 1.4, 1.9]),
    "saturation": (colours.saturation, vision.adjust_saturation, [0, 0.3, 1, 1.4, 1.9]),
    "sharpness": (operations.sharpness, vision.adjust_sharpness, [0, 0.3, 1, 1.4, 1.9]),
    "hue": (colours.hue, vision.adjust_hue, [-0.5, -0.2, 0, 0.1, 0.4]),
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_change_as_torchvision_changes_them(name: str) -> None:
    own, reference, strengths = COLOURS[name]
    expected = [reference(x / 255, s) * 255 for x, s in zip(IMAGES, strengths, strict=True)]
    found = own(IMAGES, torch.tensor(strengths))
    torch.testing.assert_close(found, torch.stack(expected), atol=0.02, rtol=0)


def test_bits_and_thresholds_are_torchvisions() -> None:
    bits, thresholds = [8, 6, 4, 3, 2], [255.0, 200.0, 128.0, 30.0, 0.0]
    whole = IMAGES.to(torch.uint8)
    expected = [vision.posterize(x, b) for x, b in zip(whole, bits, strict=True)]
    assert torch.equal(
        operations.posterise(IMAGES, torch.tensor(bits)), torch.stack(expected).float()
    )
    expected = [vision.solarize(x, t) for x, t in zip(whole, thresholds, strict=True)]
    found = operations.solarise(IMAGES, torch.tensor(thresholds))
    assert torch.equal(found, torch.stack(expected).float())


def moved(name: str, x: Tensor, s: float) -> Tensor:
    shear = math.degrees(math.atan(s))
    if name == "rotate":
        return vision.rotate(x, s)  # type: ignore[no-any-return]
    arguments = {
        "shear x": ([0, 0], [shear, 0.0], [0, 0]),
        "shear y": ([0, 0], [0.0, shear], [0, 0]),
        "across": ([int(s), 0], [0.0, 0.0], None),
        "down": ([0, int(s)], [0.0, 0.0], None),
    }
    shift, angle, centre = arguments[name]
    return vision.affine(x, 0.0, shift, 1.0, angle, center=centre)  # type: ignore[no-any-return]


ZERO = torch.zeros(5)
MOVES: dict[str, tuple[Callable[[Tensor], Tensor], list[float]]] = {
    "shear x": (lambda s: operations.shear(IMAGES, s, ZERO), [-0.3, -0.1, 0, 0.2, 0.9]),
    "shear y": (lambda s: operations.shear(IMAGES, ZERO, s), [-0.3, -0.1, 0, 0.2, 0.9]),
    "across": (lambda s: operations.translate(IMAGES, s, ZERO), [-9, -1, 0, 3, 30]),
    "down": (lambda s: operations.translate(IMAGES, ZERO, s), [-9, -1, 0, 3, 30]),
    "rotate": (lambda s: operations.rotate(IMAGES, s), [-90.0, -20, 0, 33, 135]),
}


@pytest.mark.parametrize("name", MOVES)
def test_images_move_as_torchvision_moves_them(name: str) -> None:
    own, strengths = MOVES[name]
    expected = torch.stack([moved(name, x, s) for x, s in zip(IMAGES, strengths, strict=True)])
    # Where a pixel is read from the border of two, either is the nearest.
    same = (own(torch.tensor(strengths)) - expected).abs() < 0.01
    assert same.float().mean() > 0.98


def test_contrast_and_histograms_stretch_each_image_by_itself() -> None:
    whole = IMAGES.to(torch.uint8)
    equal = torch.stack([vision.equalize(x) for x in whole])
    assert torch.equal(operations.equalise(IMAGES), equal.float())
    stretched = torch.stack([vision.autocontrast(x / 255) for x in IMAGES]) * 255
    torch.testing.assert_close(operations.autocontrast(IMAGES), stretched)


@pytest.mark.parametrize(
    ("space", "reference"),
    [(RAND_AUGMENT, v2.RandAugment()), (TRIVIAL_AUGMENT_WIDE, v2.TrivialAugmentWide())],
    ids=["RandAugment", "TrivialAugmentWide"],
)
def test_operations_go_as_far_as_torchvisions(space: Space, reference: v2.Transform) -> None:
    table = reference._AUGMENTATION_SPACE
    strength = torch.arange(31) / 30
    known = {name: reach(31, 40, 50) for name, (reach, _) in table.items()}
    for name, reach in {
        "ShearX": space.shear * strength,
        "ShearY": space.shear * strength,
        "TranslateX": (space.share * 50 + space.pixels) * strength,
        "TranslateY": (space.share * 40 + space.pixels) * strength,
        "Rotate": space.degrees * strength,
        "Brightness": space.enhance * strength,
        "Color": space.enhance * strength,
        "Contrast": space.enhance * strength,
        "Sharpness": space.enhance * strength,
        "Posterize": 8 - (space.bits * strength).round(),
        "Solarize": 1 - strength,
    }.items():
        torch.testing.assert_close(known.pop(name).float(), reach)
    assert known == {"Identity": None, "AutoContrast": None, "Equalize": None}
    # torchvision's default is 9 of 30; TrivialAugment draws from all of them.
    assert signature(RandAugment).parameters["strength"].default == 9 / 30


@pytest.mark.parametrize("space", [RAND_AUGMENT, TRIVIAL_AUGMENT_WIDE])
def test_images_of_one_batch_get_operations_of_their_own(space: object) -> None:
    same = (20 + 0.8 * photos(1, height=48, width=48)[0]).expand(200, -1, -1, -1)
    out = random_operation(same, space, torch.full((200,), 0.5), draw())  # type: ignore[arg-type]
    kinds = out.flatten(1).unique(dim=0)  # type: ignore[no-untyped-call]
    # Nine signed, four unsigned, and one that does nothing.
    assert len(kinds) == 2 * 9 + 4 + 1
    assert out.min() >= 0 and out.max() <= 255


def test_at_no_strength_only_what_has_no_strength_changes_an_image() -> None:
    same = photos(1)[0].float().expand(200, -1, -1, -1)
    out = random_operation(same, RAND_AUGMENT, torch.zeros(200), draw())
    changed = (out - same).abs().amax((1, 2, 3)) > 0.01
    kinds = out[changed].flatten(1).unique(dim=0)  # type: ignore[no-untyped-call]
    assert 2 <= len(kinds) <= 3  # contrast, histogram, and where a pixel of 255 is inverted


def test_images_of_one_batch_get_colours_of_their_own() -> None:
    same = photos(1)[0].expand(200, -1, -1, -1)
    out = ColourJitter(strength=0.8).distort(same, draw())
    gray = (out[:, 0] - out[:, 1]).abs().amax((1, 2)) < 0.01
    untouched = (out - same).abs().amax((1, 2, 3)) < 0.01
    assert 0.1 < gray.float().mean() < 0.3
    assert 0.08 < untouched.float().mean() < 0.25
    colourful = out[~untouched & ~gray].flatten(1)
    assert len(colourful.unique(dim=0)) > 100  # type: ignore[no-untyped-call]
    assert out.min() >= 0 and out.max() <= 255


def test_plasma_maps_are_smooth_and_span_the_range() -> None:
    maps = plasma(torch.zeros(20, 3, 32, 32), draw())
    assert torch.allclose(maps.amin((2, 3)), torch.zeros(20, 3))
    assert torch.allclose(maps.amax((2, 3)), torch.ones(20, 3))
    steps = (maps[..., 1:] - maps[..., :-1]).abs().mean()
    apart = (maps[..., 16:] - maps[..., :16]).abs().mean()
    assert steps < apart / 2
    assert (maps[:, 0] - maps[:, 1]).abs().mean() > 0.1
