"""TODO actors/journal."""
