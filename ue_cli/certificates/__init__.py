"""What was achieved: budget and fidelity of the written files, and what they can teach."""
