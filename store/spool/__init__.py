"""The spool: files beside a log, in which processes keep what they publish while none owns the folder.

`spool_format` has the bytes, `spool_file` the writing and the reading. What a record holds is up to its writer, a client
(`perdure.processes.to_owner.spooling`); the next owner of the folder takes it in (`perdure.runtime.spool_source`).
"""
