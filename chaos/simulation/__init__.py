"""TODO chaos/simulation."""
