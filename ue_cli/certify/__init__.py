"""What was achieved, measured on the written files: the budget and the fidelity."""
