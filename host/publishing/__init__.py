"""TODO host/publishing."""
