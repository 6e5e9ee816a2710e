"""TODO host/demo."""
