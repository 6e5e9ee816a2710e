"""TODO actors/queue."""
