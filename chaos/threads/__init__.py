"""TODO chaos/threads."""
