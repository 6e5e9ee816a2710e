"""Payloads: how a message object becomes bytes under a stable type name, and comes back equal.

`type_names` names message classes and brings older versions up to date, `codecs` encodes them, `foreign_types` knows pydantic
models and paths, `signed_pickle` is the optional pickle codec. `fidelity`, `proofs` and `differences` refuse a value that its
handler would receive changed. `returns` is how a class declares its handler's result. `class_memory` bounds what is kept for each
class.

Not here: the log's own format (`events/codec`), and options of a publish (`publishing`).
"""
