"""TODO events/codec."""
