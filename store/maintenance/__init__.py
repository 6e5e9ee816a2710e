"""Verification and repair of a whole folder, without owning it.

`verify` reports, `repair` builds a new folder from what is whole, `survey` reads on behind damage.
"""
