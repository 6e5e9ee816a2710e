"""Data structures of the queue's state. None of them knows a rule.

`message` is one live message, `message_block` keeps plain messages together, `ready_queue` orders ready messages. `block_index`
and `id_index` find messages by number and by id, `past_ids` remembers ids of ended messages, `group` holds the messages of a
group, `heap_set` holds deadlines, `death_order` has the dead letters in their order, `bulk` is how far a bulk act has come.
`pieces` goes through many things with pauses in between.

Not here: when any of these changes (`queue/folding/folds`).
"""
