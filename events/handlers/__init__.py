"""TODO events/handlers."""
