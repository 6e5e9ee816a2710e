"""TODO chaos/oracle."""
