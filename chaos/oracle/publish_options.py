"""How a message is published on record: as its publisher or handler named it, and else as its type's handler has it for keys.

It shares nothing with what makes drafts (`publishing/drafts`). What becomes of the message is followed by `reference_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.reference_model import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.events import vocabulary as ev

__all__ = ["KeyPolicy", "check_options"]


@attrs.frozen
class KeyPolicy:
    """What a handler has for keys of its messages."""

    dedup: str = "replace"
    key_parallelism: int = 0
    """How many messages of one key run at once, where keys are labels; 0: any number."""


def check_options(published: ev.Published, options: Mapping[str, Any], policy: KeyPolicy) -> None:
    """Check a message as it is on record. A time is only checked to be there: `published_moments` judges it.

    Args:
        published: the record.
        options: the keywords of its publish.
        policy: what counts where they name none.

    Raises:
        BrokenContract: it is published in another way.
    """
    named = options.get("dedup") or ("replace" if "debounce" in options else policy.dedup)
    dedup = named if "key" in options else None
    extras = published.extras
    wanted = {
        "key": options.get("key"),
        "group": options.get("group"),
        "priority": options.get("priority", 0),
        "dedup": dedup,
        "window": _us(options.get("dedup_window")) if dedup not in (None, "append") else 0,
        "key_parallelism": policy.key_parallelism if dedup == "append" else 0,
        "keep_result": _us(options.get("keep_result")),
        "has ttl": "ttl" in options,
        "waits": bool(options.get("delay") or options.get("debounce")),
    }
    recorded = {
        "key": published.key,
        "group": published.group,
        "priority": published.priority,
        "dedup": published.dedup,
        "window": 0 if extras is None else extras.window_us,
        "key_parallelism": 0 if extras is None else extras.key_parallelism,
        "keep_result": 0 if extras is None else extras.result_us,
        "has ttl": published.expires_us > 0,
        "waits": published.due_us > 0,
    }
    differs = {name: (value, recorded[name]) for name, value in wanted.items() if value != recorded[name]}
    require(not differs, lambda: f"{published.id} is published with other options than asked for (asked, recorded): {differs}")


def _us(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * 1_000_000)
