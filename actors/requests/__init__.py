"""TODO actors/requests."""
