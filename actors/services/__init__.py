"""TODO actors/services."""
