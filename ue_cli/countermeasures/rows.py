"""Every countermeasure that `ue evaluate` knows, one row each. Nothing here needs torch."""

from __future__ import annotations

from ue_cli.countermeasures.spec import Spec, Tier

_ISS = "Liu et al., Image Shortcut Squeezing, ICML 2023"
_MADRY = "Madry et al., ICLR 2018; against such data: Tao et al., NeurIPS 2021"
_HERE = "ue_cli.countermeasures."


def _jpeg(quality: int, tier: Tier) -> Spec:
    return Spec(
        f"jpeg-{quality}",
        f"train and test on images compressed again, JPEG q{quality} 4:2:0, at the training size",
        _ISS,
        tier,
        _HERE + "jpeg:Jpeg",
        {"quality": quality},
    )


def _adversarial(levels: int) -> Spec:
    return Spec(
        f"adversarial-{levels}",
        f"train on PGD examples within ±{levels}/255",
        _MADRY,
        "full",
        _HERE + "adversarial:AdversarialTraining",
        {"levels": levels},
    )


def _dilution(percent: int, tier: Tier) -> Spec:
    return Spec(
        f"dilution-{percent}",
        f"clean originals in place of {percent} % of the files",
        "",
        tier,
        _HERE + "dilution:Dilution",
        {"share": percent / 100},
        needs=("clean",),
        diluted=percent,
    )


SPECS: tuple[Spec, ...] = (
    Spec("none", "train as usual", "", "quick", "ue_cli.training.hooks:Plain"),
    Spec(
        "early-stopping",
        "stop at the epoch that is best on clean test images",
        "Huang et al., ICLR 2021, and every user of validation data",
        "quick",
        kind="readout",
    ),
    _jpeg(10, "standard"),
    _jpeg(50, "quick"),
    _jpeg(75, "standard"),
    _jpeg(95, "standard"),
    Spec(
        "web-2048",
        "a website's copy of every file: long edge 2,048 pixels, JPEG q85 4:2:0, no metadata",
        "",
        "standard",
        kind="files",
    ),
    Spec(
        "web-1080",
        "a website's copy of every file: long edge 1,080 pixels, JPEG q70 4:2:0, no metadata",
        "",
        "standard",
        kind="files",
    ),
    Spec("grayscale", "train and test in gray", _ISS, "quick", _HERE + "filters:Grayscale"),
    Spec(
        "bit-depth-2",
        "train and test with 2 bits per channel",
        _ISS,
        "standard",
        _HERE + "filters:BitDepth",
        {"bits": 2},
    ),
    Spec(
        "blur",
        "train and test behind a Gaussian low-pass, σ = 1 pixel",
        _ISS,
        "standard",
        _HERE + "filters:Blur",
        {"sigma": 1.0},
    ),
    Spec(
        "resize",
        "train and test on images shrunk to half the side and enlarged again",
        "",
        "full",
        _HERE + "filters:Resize",
        {"factor": 0.5},
    ),
    Spec(
        "high-pass",
        "train and test on the difference from the local mean, over an eighth of the side",
        "the adaptive answer to coarse patterns",
        "standard",
        _HERE + "filters:HighPass",
        {"share": 1 / 8},
    ),
    Spec(
        "rrc-0.35",
        "RandomResizedCrop to 35 % of the area or more",
        "Szegedy et al., CVPR 2015",
        "quick",
        _HERE + "crop:ResizedCrop",
        {"min_scale": 0.35},
    ),
    Spec(
        "rrc-0.08",
        "RandomResizedCrop to 8 % of the area or more",
        "Szegedy et al., CVPR 2015",
        "full",
        _HERE + "crop:ResizedCrop",
        {"min_scale": 0.08},
    ),
    Spec(
        "colour-jitter",
        "SimCLR's colour distortion at full strength",
        "Chen et al., ICML 2020",
        "standard",
        _HERE + "jitter:ColourJitter",
        {"strength": 0.8},
    ),
    Spec(
        "cutout",
        "hide a square of half the side",
        "DeVries & Taylor, 2017",
        "standard",
        _HERE + "cutout:Cutout",
        {"share": 0.5},
    ),
    Spec(
        "mixup",
        "mix pairs of images and their labels",
        "Zhang et al., ICLR 2018",
        "standard",
        _HERE + "mixing:Mixup",
    ),
    Spec(
        "cutmix",
        "paste a rectangle of one image into another, and mix their labels",
        "Yun et al., ICCV 2019",
        "standard",
        _HERE + "mixing:CutMix",
    ),
    Spec(
        "randaugment",
        "two random operations per image",
        "Cubuk et al., NeurIPS 2020",
        "full",
        _HERE + "randaugment:RandAugment",
    ),
    _dilution(20, "standard"),
    Spec(
        "averaging",
        "subtract each class's mean within ±8/255",
        "",
        "standard",
        _HERE + "averaging:Averaging",
        {"levels": 8},
    ),
    Spec(
        "averaging-high-pass",
        "subtract each class's mean of high-passed files",
        "",
        "full",
        _HERE + "averaging:Averaging",
        {"levels": 8, "share": 1 / 8},
    ),
    Spec(
        "orthogonal-projection",
        "fit a linear classifier to the files and project its weights out",
        "Sandoval-Segura et al., NeurIPS 2023",
        "full",
        _HERE + "projection:OrthogonalProjection",
    ),
    Spec(
        "subtraction",
        "subtract the class's entry of a published perturbation",
        "",
        "full",
        _HERE + "subtraction:Subtraction",
        needs=("bank",),
    ),
    Spec(
        "subtraction-span",
        "take out the least-squares fit by a published perturbation's entries",
        "",
        "full",
        _HERE + "subtraction:SpanSubtraction",
        needs=("bank",),
    ),
    Spec(
        "ueraser-max",
        "train on the worst of five strongly augmented views",
        "Qin et al., Learning the Unlearnable, 2023",
        "full",
        _HERE + "ueraser:UEraserMax",
    ),
    _adversarial(2),
    _adversarial(4),
    _adversarial(8),
    Spec(
        "recovery",
        "fine-tune on clean images within a small distance of the weights",
        "Wang et al., NDSS 2025",
        "standard",
        kind="after",
        needs=("clean",),
    ),
)
