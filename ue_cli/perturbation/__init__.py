"""Perturbations as values: texture codes, banks of cells, and their layout on any image."""
