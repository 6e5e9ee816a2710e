"""TODO actors/workers."""
