"""`ue protect` and `ue optimize`: what classes carry, and how each file comes to carry it."""
