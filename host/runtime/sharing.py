"""What a run shows to other processes, and what their sessions need of it. The sessions are in `perdure.actors.sessions`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.actors.core.clock import ahead_us
from perdure.actors.core.messages import Wake
from perdure.actors.core.threads.answer import IgnoredReply
from perdure.actors.queue.consumers import ConsumerGone
from perdure.actors.sessions.member_work.member_session import MemberServices
from perdure.actors.sessions.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perdure.actors.services.runtime import Runtime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.handover import HandOver
    from perdure.events.commands import Draft
    from perdure.options import Options

__all__ = ["TOLD_OPTIONS", "owner_of"]

TOLD_OPTIONS = (
    "publish_timeout_s",
    "payload_bytes_max",
    "batch_max",
    "batch_bytes_max",
    "pipeline_max",
    "result_kept_s",
    "retries",
)
"""The options that a client needs, too."""


def owner_of(
    runtime: Runtime,
    options: Options,
    *,
    codec: object,
    policies: Mapping[str, tuple[str, int, int]],
    retries: Callable[[], dict[str, int]],
    figures: Callable[[], RunFigures],
    check_changes: Callable[[dict[str, Any]], Any],
    under_policy: Callable[[Draft], Draft],
    hand_over: Callable[[HandOver], bool],
    permit: Callable[[str, str, Sequence[str]], None] | None = None,
) -> Owner:
    """Return what sessions need of a run.

    Args:
        runtime: the run.
        options: the system's.
        codec: the system's; clients must have one of the same class.
        policies: by type, what becomes of messages with a key (see `Drafts.policies`); read again each time they are sent.
        retries: returns, by type that has a handler, how often its messages are tried again.
        figures: returns what the run reports of itself.
        check_changes: checks the options that an operator changes.
        under_policy: returns a draft with a key under its handler's policy.
        hand_over: see `Owner.hand_over`.
        permit: see `Owner.permit`.
    """
    shared_options = {name: getattr(options, name) for name in TOLD_OPTIONS}
    codec_name = type(codec).__qualname__

    def facts() -> dict[str, Any]:
        by_type = {name: list(policy) for name, policy in list(policies.items())}
        return {"run": runtime.run, "codec": codec_name, "options": shared_options, "policies": by_type, "handlers": retries()}

    def consumer_gone(origin: str) -> None:
        runtime.pending.send("queue", ConsumerGone(origin), IgnoredReply(), from_outside=False)

    members = MemberServices(
        directory=runtime.directory,
        pending=runtime.pending,
        pools=runtime.pools,
        reporter=runtime.reporter,
        monotonic_s=runtime.executor.monotonic_s,
        ahead_us=partial(ahead_us, runtime.clock),
        own_outboxes=runtime.extensions.shared_outboxes,
    )
    return Owner(
        members=members,
        consumer_gone=consumer_gone,
        pending=runtime.pending,
        bounds=options,
        facts=facts,
        figures=figures,
        check_changes=check_changes,
        under_policy=under_policy,
        hand_over=hand_over,
        ahead_us=partial(ahead_us, runtime.clock),
        look_at_spool=lambda: runtime.directory.tell("relay", Wake()),
        permit=permit,
    )
