"""Class textures: their codes, which are chosen, where waves stand, and how visible they are."""
