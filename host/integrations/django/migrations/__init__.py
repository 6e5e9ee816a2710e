"""The tables of the app: that of the outbox."""
