"""TODO events/queue."""
