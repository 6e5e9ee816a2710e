"""TODO actors/core."""
