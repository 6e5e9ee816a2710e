"""Commands that keep a log safe and take it elsewhere: `backup`, `restore`, `export`, and `doctor`, which looks at its place.

Not here: the work itself (`perdure.store.backup`), and the older commands `verify` and `repair` (`main`).
"""
