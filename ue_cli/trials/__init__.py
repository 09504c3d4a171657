"""Trainings that are kept: their plan, their data, where they run and where they end."""
