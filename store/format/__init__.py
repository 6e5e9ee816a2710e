"""TODO store/format."""
