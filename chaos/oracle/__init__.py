"""What must hold in a scenario, judged from outside: a reference model, and logs of what publishers and handlers saw.

While a scenario runs, its `recording_system` writes to a `recording_store`, and `publisher_log` and `handler_log` compare each
answer and each call with the disk. `state_checks` compares the live state with the log. At the end `history_checks`,
`frame_checks`, `ticks`, `published_moments` and `publish_options` judge the `recorded_events` by the `reference_model`.

Not here: any fault (`scenarios`, `disk`), and the contract of a store by itself (`disk.store_contract`).
"""
