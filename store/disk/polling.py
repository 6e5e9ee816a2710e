"""Whether this process can wait for several sockets at once, as all that speaks with other processes does.

The waits themselves are where the sockets are: `perdure.actors.sessions`, `perdure.processes` and the database's connections.
"""

from __future__ import annotations

import select

from perdure.events.errors import StoreUnavailable

__all__ = ["check_poll"]


def check_poll(what: str) -> None:
    """Check that `select.poll` is there.

    Args:
        what: what needs it, for the error.

    Raises:
        StoreUnavailable: something has taken it away.
    """
    if not hasattr(select, "poll"):
        msg = (
            f"{what} waits for other processes with `select.poll`, which is not there: `eventlet.monkey_patch()` takes it away. "
            "Run it where eventlet does not patch, or use gevent or threads. A System of one process works under eventlet"
        )
        raise StoreUnavailable(msg)
