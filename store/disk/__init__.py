"""Every call of the store to the operating system: files, folders, locks, permissions.

Not here: the layout of bytes (`format`), and what is written when (`files`).
"""
