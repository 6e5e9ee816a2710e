"""TODO chaos/processes."""
