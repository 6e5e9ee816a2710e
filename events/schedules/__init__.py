"""TODO events/schedules."""
