"""What a JPEG is made of: its quantised coefficients, and steps of them under a budget."""
