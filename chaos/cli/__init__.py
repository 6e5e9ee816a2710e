"""TODO chaos/cli."""
