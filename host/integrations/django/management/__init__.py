"""The `commands` of the app, which Django finds by the name of this package."""
