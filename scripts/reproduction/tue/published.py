"""What Ren et al. (ICLR 2023) report, in %: ResNet-18 on CIFAR-10, 50,000 images.

With labels after 200 epochs; without, a linear probe after 1,000 epochs of the learner that the
perturbation was made with.
"""

from __future__ import annotations

from collections.abc import Mapping

from reproduction.tue.plan import Victim
from reproduction.tue.swaps import Correspondence

ACCURACY: Mapping[str, Mapping[Victim, float]] = {
    "clean": {"supervised": 93.79, "simclr": 90.04, "moco": 89.90, "simsiam": 90.59},
    "em": {"supervised": 14.74, "simclr": 89.79, "moco": 89.18, "simsiam": 91.43},
    "sn": {"supervised": 19.23, "simclr": 88.93, "moco": 89.32, "simsiam": 91.54},
    "ucl-simclr": {"supervised": 92.86, "simclr": 47.78},
    "ucl-moco": {"supervised": 92.62, "moco": 44.24},
    "ucl-simsiam": {"supervised": 93.50, "simsiam": 30.43},
    "tue-simclr": {"supervised": 10.67, "simclr": 52.38},
    "tue-moco": {"supervised": 10.06, "moco": 63.38},
    "tue-simsiam": {"supervised": 10.03, "simsiam": 35.57},
}
"""``sn`` is linearly separable synthetic noise, which is no arm here."""

SWAPPED: Mapping[str, Mapping[Correspondence, float]] = {
    "em": {"original": 15.88, "intra-class": 30.74, "inter-class": 33.91},
    "tue-simclr": {"original": 10.67, "intra-class": 10.16, "inter-class": 10.90},
}

MOVED: Mapping[str, tuple[float, float, float]] = {
    "em": (27.59, 21.80, 24.72),
    "sn": (9.58, 9.35, 7.77),
    "tue-simclr": (9.77, 10.53, 11.72),
    "tue-moco": (11.29, 8.32, 13.95),
    "tue-simsiam": (10.28, 5.10, 12.93),
}
"""Made on CIFAR-10; with labels, on SVHN-small, CIFAR-100 and SVHN."""
