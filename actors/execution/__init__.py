"""TODO actors/execution."""
