"""What an adversary does with protected files, beside training on them."""
