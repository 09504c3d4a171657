"""The questions of `docs/csd.md`, and which arms answer them."""

from __future__ import annotations

from dataclasses import dataclass

from reproduction.tue.plan import SIDE
from ue_cli.training.ssl_recipes import SSL_NAMES


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question that some arms answer, beside the control and random codes.

    Attributes:
        title: the question in short.
        about: what differs between the arms.
        arms: shown, in their order.
        pairs: arms that are set side by side, the one asked about first.
    """

    title: str
    about: str
    arms: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


_CSD = f"csd-{SIDE}-image"
_KINDS = (("random", ""), ("csd", "-image"))

STUDIES: tuple[Study, ...] = (
    Study(
        title="What the contrastive term buys over CSD alone",
        about="`tue-…` descends on both terms, `csd-…` on CSD alone, `ucl-…` on the contrastive "
        "loss alone, `targeted-…` on a third term, which is ours; all have a δ per image and a "
        "value per pixel. `tue-…` and `ucl-…` are one recipe with λ and without; the others take "
        "steps of their own number and size (see the arms), so that beside `csd-…` not the term "
        "alone is measured: the CSD that each ends with is in the table.",
        arms=(
            "clean",
            f"random-{SIDE}",
            _CSD,
            *(f"{kind}-{learner}" for learner in SSL_NAMES for kind in ("tue", "ucl", "targeted")),
        ),
        pairs=tuple(
            pair
            for learner in SSL_NAMES
            for pair in (
                (f"tue-{learner}", _CSD),
                (f"tue-{learner}", f"ucl-{learner}"),
                (f"targeted-{learner}", _CSD),
            )
        ),
    ),
    Study(
        title="Full gradient against released gradient",
        about="The released code cuts the spreads out of CSD's gradient, so that it only pushes "
        "the classes' means apart and every image of a class takes the same steps.",
        arms=(
            "clean",
            f"random-{SIDE}",
            _CSD,
            f"{_CSD}-released",
            "random-8",
            "csd-8-image",
            "csd-8-image-released",
        ),
        pairs=((_CSD, f"{_CSD}-released"), ("csd-8-image", "csd-8-image-released")),
    ),
    Study(
        title="Cell size",
        about="Each pattern has so many cells per side, stretched over the 32 pixels; random codes "
        "of the same cells and the tool's textures stand beside them.",
        arms=(
            "clean",
            *(f"{kind}-{cells}{of}" for cells in (SIDE, 8, 4) for kind, of in _KINDS),
            "texture",
        ),
        pairs=(
            ("csd-8-image", _CSD),
            ("csd-4-image", "csd-8-image"),
            *((f"csd-{cells}-image", f"random-{cells}") for cells in (SIDE, 8, 4)),
            ("texture", "random-8"),
        ),
    ),
    Study(
        title="Class-wise against sample-wise",
        about="One δ for a whole class, or one for each image. Of one δ per class CSD is 0 "
        "whatever it is, so that the descent only makes it larger.",
        arms=(
            "clean",
            f"random-{SIDE}",
            f"csd-{SIDE}-class",
            _CSD,
            "random-8",
            "csd-8-class",
            "csd-8-image",
        ),
        pairs=(
            (f"csd-{SIDE}-class", _CSD),
            (f"csd-{SIDE}-class", f"random-{SIDE}"),
            ("csd-8-class", "csd-8-image"),
            ("csd-8-class", "random-8"),
        ),
    ),
)
