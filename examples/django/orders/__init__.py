"""Orders: a model, two messages, their handlers, and views that publish."""
