"""Bulk acts on the pages of messages and of dead letters: `bulk_forms` has the count that comes first, and the acts under way.

Not here: the count itself (`perdure.console.counting`), the act (`perdure.console.console_acts`), markup (`templates/parts.html`).
"""
