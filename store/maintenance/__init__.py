"""Verification and repair of a whole log, of any store, without owning it.

`verify` reports what is wrong, `repair` builds a new log from what is whole, `runs` finds the unbroken runs of a damaged one,
`migrate` takes a whole log to another place.

Not here: how a store's bytes are read (`files`, `postgres`), and `backup`.
"""
