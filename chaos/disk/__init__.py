"""TODO chaos/disk."""
