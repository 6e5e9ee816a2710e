"""TODO host/cli."""
