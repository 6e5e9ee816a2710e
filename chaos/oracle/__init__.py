"""What must hold in a scenario, judged from outside: a reference model, and logs of what publishers and handlers saw.

While a scenario runs, `recording_store`, `publisher_log` and `handler_log` compare each answer and each call with the disk.
`state_checks` compares the live state with the log; `history_checks`, `frame_checks` and `ticks` judge the whole log at the end.

Not here: any fault (`scenarios`, `disk`), and the contract of a store by itself (`disk.store_contract`).
"""
