"""Perturbations as files: cells, cards, the bundled ones and the hub."""
