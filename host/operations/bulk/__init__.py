"""Bulk acts: replay, edit or purge all dead letters, or cancel all messages, that an expression selects.

`acts_where` has what a System and a Client offer as `dead_letters`, `cancels_where` what they offer as `admin`. Both count what an
expression selects (`counted`), then begin a bulk act and wait for it (`bulk_act`). The expressions are those of `perdure search`
(`perdure.events.queue.searching.expression`). A bulk act is carried out by the owner, commit after commit, from a plan that is on
record (`events/queue/bulk_acts`, `actors/services/bulk_runner`), so neither the caller nor the owner need live until it is done.
"""
