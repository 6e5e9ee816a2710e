"""Data structures of the queue's state, each of which knows nothing of rules.

`ready_queue` orders ready messages, `message_block` keeps plain messages together, `block_index` finds a block, `heap_set` holds
deadlines, `group` and `id_index` find messages, `past_ids` remembers ids that ended, `spilling` moves payloads to disk and back.
"""
