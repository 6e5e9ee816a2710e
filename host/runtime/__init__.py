"""TODO host/runtime."""
