"""TUE's tables: its perturbations, simpler ones beside them, and four kinds of victims."""
