"""TODO chaos/mutation."""
