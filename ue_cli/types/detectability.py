"""What linear classifiers tell apart in protected files: an adversary can fit them, too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Separability:
    """How often a linear classifier is right about photos that it was not fitted on.

    Attributes:
        correct: photos that it gets right; each is asked about once, so that an exact binomial
            interval holds.
        tests: of how many.
        chance: what guessing gets right, in [0, 1]: the share of the most frequent answer.
    """

    correct: int
    tests: int
    chance: float

    @property
    def accuracy(self) -> float:
        """The share that it gets right."""
        return self.correct / self.tests


@dataclass(frozen=True, slots=True)
class Detectability:
    """What linear classifiers find, fitted on half of the photos and asked about the other half.

    Attributes:
        photos: in both halves.
        side: pixels to which they were reduced.
        detected: is this file protected or an original? From pixels, their high-pass residual and
            its power spectrum.
        perturbation: which class is it, from the perturbation's pixels: the linear separability
            that Yu et al. (KDD 2022) found in availability attacks.
        perturbation_spectrum: the same from its power spectrum, which does not see where a
            pattern lies.
        published: which class is it, from the protected file's high-pass residual (pixels and
            power spectrum), without the original.
        original: the same from the originals: what the content gives away by itself.
    """

    photos: int
    side: int
    detected: Separability
    perturbation: Separability
    perturbation_spectrum: Separability
    published: Separability
    original: Separability
