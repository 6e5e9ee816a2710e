"""TODO chaos/soak."""
