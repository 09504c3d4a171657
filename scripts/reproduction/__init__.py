"""The published experiments again, at a scale that a machine can afford."""
