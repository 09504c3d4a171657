"""Every method's files under every countermeasure, and TUE's tables, at a scale one can afford."""
