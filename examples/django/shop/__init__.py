"""The project: settings, addresses, the application of a server."""
