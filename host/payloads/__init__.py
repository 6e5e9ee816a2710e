"""TODO host/payloads."""
