"""TODO host/outbox."""
