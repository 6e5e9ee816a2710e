"""Commands that keep a log safe and whole: `backup` and `restore`.

Not here: the work itself (`perdure.store.backup`), and the older commands `verify` and `repair` (`main`).
"""
