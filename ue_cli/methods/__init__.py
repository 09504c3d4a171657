"""How a perturbation is optimised: one file per method."""
