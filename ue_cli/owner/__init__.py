"""What the owner alone has: the key, and for each collection what continues it."""
