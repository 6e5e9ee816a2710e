"""TODO store/files."""
