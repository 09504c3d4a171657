"""What the commands do, as plain functions: the only place that composes the packages below it."""
