"""`ue`: protect published images with unlearnable examples, and measure what that is worth."""

__version__ = "0.1.0"
