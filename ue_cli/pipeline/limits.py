"""Defaults that several commands share; without numpy, so that help texts can say them."""

MAX_PIXELS = 200_000_000
"""Of an image; larger ones are refused."""

TEST_SHARE, MIN_TEST = 0.2, 50
"""Of `ue certify` and `ue evaluate`: what decides whether there are enough photos."""
