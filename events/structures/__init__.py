"""TODO events/structures."""
