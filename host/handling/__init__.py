"""TODO host/handling."""
