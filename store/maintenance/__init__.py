"""TODO store/maintenance."""
