"""The ways to protect files that TUE's tables compare, each with every setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from reproduction.grid.plan import settings_of
from reproduction.tue.plan import SIDE, Scale, as_json
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.em import Em
from ue_cli.methods.tue import Tue
from ue_cli.methods.tue_presets import tue
from ue_cli.training.ssl_recipes import SSL_NAMES, SslName


@dataclass(frozen=True, kw_only=True)
class RandomCodes:
    """One pattern of random signs per class: the baseline that CSD has to beat.

    Attributes:
        cells: of a pattern, per side.
    """

    cells: int


@dataclass(frozen=True, kw_only=True)
class Texture:
    """What `ue protect` does by default.

    Attributes:
        settings: of the tool, as JSON.
    """

    settings: Mapping[str, Any]


Maker = RandomCodes | Texture | PixelCsd | Tue | Em


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to protect files.

    Attributes:
        name: of it.
        about: it, in a line.
        maker: with every setting; None: the originals.
    """

    name: str
    about: str
    maker: Maker | None

    @property
    def settings(self) -> dict[str, Any] | None:
        """Every setting, as a row has it."""
        if self.maker is None:
            return None
        made: dict[str, Any] = as_json({"maker": type(self.maker).__name__, **asdict(self.maker)})
        return made

    @property
    def has_patterns(self) -> bool:
        """Whether it is a set of patterns, which can be swapped and transferred."""
        return self.maker is not None and not isinstance(self.maker, Texture)


def arms_of(scale: Scale) -> dict[str, Arm]:
    """All arms of a scale, the control first."""
    each = scale.per_class
    arms = [
        Arm(name="clean", about="the originals: the control", maker=None),
        *(
            Arm(
                name=f"random-{cells}",
                about=f"random signs per class, {cells} × {cells} cells: what CSD has to beat",
                maker=RandomCodes(cells=cells),
            )
            for cells in (SIDE, 8, 4)
        ),
        Arm(
            name="texture",
            about="class textures chosen by CSD: the default of `ue protect`",
            maker=Texture(settings=settings_of("csd") or {}),
        ),
        Arm(
            name=f"csd-{SIDE}-image",
            about="CSD alone, a δ per image, a value per pixel (as published), the full gradient; "
            + steps_of(PixelCsd()),
            maker=PixelCsd(cells=SIDE, per_class=each),
        ),
        Arm(
            name=f"csd-{SIDE}-image-released",
            about="the same with the released code's gradient, which the spreads are cut out of",
            maker=PixelCsd(cells=SIDE, per_class=each, gradient="released"),
        ),
        Arm(
            name=f"csd-{SIDE}-class",
            about="CSD alone, one δ per class, a value per pixel; the released gradient, as the "
            "full one is 0 where a class has one δ",
            maker=PixelCsd(cells=SIDE, per_class=1, gradient="released"),
        ),
        *(
            Arm(
                name=f"csd-{cells}-image",
                about=f"CSD alone, a δ per image of {cells} × {cells} cells, the full gradient",
                maker=PixelCsd(cells=cells, per_class=each),
            )
            for cells in (8, 4)
        ),
        Arm(
            name="csd-8-image-released",
            about="a δ per image of 8 × 8 cells, the released gradient",
            maker=PixelCsd(cells=8, per_class=each, gradient="released"),
        ),
        Arm(
            name="csd-8-class",
            about="CSD alone, one δ per class of 8 × 8 cells, the released gradient",
            maker=PixelCsd(cells=8, per_class=1, gradient="released"),
        ),
        Arm(
            name="em",
            about="error-minimising noise per image and pixel (Huang et al., ICLR 2021)",
            maker=replace(scale.em, cells=SIDE, per_class=each),
        ),
        *(
            Arm(
                name=f"tue-{learner}",
                about=f"TUE with {learner} (eq. 5): the contrastive loss and CSD, "
                f"λ = {maker.separation:g}; {steps_of(maker)}",
                maker=maker,
            )
            for learner in SSL_NAMES
            for maker in [tue_of(scale, learner)]
        ),
        *(
            Arm(
                name=f"ucl-{learner}",
                about=f"the contrastive loss of {learner} without CSD (λ = 0)",
                maker=replace(tue_of(scale, learner), contrastive=1.0, separation=0.0),
            )
            for learner in SSL_NAMES
        ),
    ]
    arms += [
        Arm(
            name=f"targeted-{learner}",
            about=f"features of {learner} moved to the next class's (ours), without CSD; "
            + steps_of(maker),
            maker=maker,
        )
        for learner in SSL_NAMES
        for maker in [targeted_of(scale, learner)]
    ]
    if scale.ssl == "published":
        arms += [
            Arm(
                name=f"released-{learner}",
                about=f"TUE with {learner}, every setting as the authors' code has it",
                maker=released(learner, each),
            )
            for learner in SSL_NAMES
        ]
    return {arm.name: arm for arm in arms}


def steps_of(maker: Tue | PixelCsd) -> str:
    """How many steps each δ takes, and how large they are, in words."""
    count = maker.steps * (maker.max_rounds if isinstance(maker, Tue) else 1)
    return f"{count:,} steps of {maker.step:g} levels"


def tue_of(scale: Scale, learner: SslName) -> Tue:
    """Eq. 5 with both terms, a δ per image, a value per pixel."""
    preset: Literal["small", "paper"] = "small" if scale.ssl == "small" else "paper"
    recipe = tue(preset, learner, cells=SIDE, per_class=scale.per_class)
    ssl = replace(recipe.ssl, **scale.surrogate_changes)
    return replace(recipe, ssl=ssl, contrastive=1.0, **scale.tue_changes)


def released(learner: SslName, per_class: int) -> Tue:
    """The settings of the authors' code; with SimCLR and SimSiam that is CSD alone."""
    return replace(
        tue("paper", learner, cells=SIDE, per_class=per_class),
        contrastive=1.0 if learner == "moco" else 0.0,
        gradient="released",
        centroids="batch",
    )


def targeted_of(scale: Scale, learner: SslName) -> Tue:
    """The third term alone, against an encoder that is small at every scale."""
    recipe = tue("targeted", learner, cells=SIDE, per_class=scale.per_class)
    ssl = replace(recipe.ssl, **scale.surrogate_changes)
    return replace(recipe, ssl=ssl, **scale.targeted_changes)
