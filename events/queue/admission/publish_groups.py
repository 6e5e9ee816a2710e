"""Which publishes that came in a row are accepted by one decision, and how they become one command.

Pure. The decision itself is in `publishing`; when a group is decided is up to `actors/queue/admission`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.commands import DraftRun, Publish

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SHORT_RUN", "group_key", "merged"]

SHORT_RUN = 8
"""A longer run of messages is a group of its own, so that its ids stay one run."""

_SPECIAL = ""
"""The group of what is not a fresh run: each message of it is looked at anyway. No message type has this name."""


def group_key(publish: Publish) -> object:
    """Return what the publishes of one group have in common: neighbours with equal keys are accepted together."""
    drafts = publish.drafts
    if type(drafts) is not DraftRun or not publish.fresh:
        return _SPECIAL
    return drafts.type if len(drafts.payloads) <= SHORT_RUN else drafts


def merged(publishes: Sequence[Publish]) -> Publish:
    """Return one command for all publishes of a group; plain messages stay in columns."""
    runs: Any = [publish.drafts for publish in publishes]
    if not publishes[0].fresh:
        return Publish([draft for run in runs for draft in run])
    ids = [ident for run in runs for ident in run.ids]
    payloads = [payload for run in runs for payload in run.payloads]
    return Publish(DraftRun(runs[0].type, ids, payloads, sum([run.payload_bytes() for run in runs])), fresh=True)
