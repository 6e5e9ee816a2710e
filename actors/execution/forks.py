"""What happens when a handler forks and its child returns from the handler: the child is ended there.

The child has one thread, which runs a worker's code. It would wait for ever for actors that were not copied, and its parent for the
child. What a child may do with its parent's system is in `host/runtime/process/live_systems`.
"""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["FORKS", "check_same_process"]

STATUS = 70
"""The exit status of such a child; EX_SOFTWARE in sysexits.h."""


class _Forks:
    """Counts the forks that led to this process."""

    count = 0


FORKS = _Forks()


def check_same_process(forks: int) -> None:
    """End this process at once if it was forked since `forks` was read from `FORKS.count`.

    Runs in the thread that called the handler, right after it returned or raised. Python's functions for the exit do not run in the
    child, and what its buffers hold is not written: both are the parent's.
    """
    if FORKS.count == forks:
        return
    with suppress(OSError):
        os.write(
            2,
            b"perdure: a handler forked, and its child returned from the handler; the child is ended here. Let the child end "
            b"itself with os._exit(), or start it with subprocess or multiprocessing.\n",
        )
    os._exit(STATUS)


def _in_a_forked_child() -> None:
    FORKS.count += 1


os.register_at_fork(after_in_child=_in_a_forked_child)
