"""Defaults that several commands share; without numpy, so that help texts can say them."""

MAX_PIXELS = 200_000_000
"""Of an image; larger ones are refused."""

TEST_SHARE, MIN_TEST = 0.2, 50
"""Of `ue certify` and `ue evaluate`: what decides whether there are enough photos."""

SIDE = 64
"""Pixels to which trainers resize what they read, where most files have as many."""

SIDES = (16, 512)
"""Fewest and most that can be asked for."""
