"""TODO host/operations."""
