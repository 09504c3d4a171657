"""What the owner alone has: the key, and for each collection what undoes and continues it."""
