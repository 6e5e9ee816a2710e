"""`notify` notifies systemd that a service with `Type=notify` is ready, or stops. Elsewhere it does nothing."""

from __future__ import annotations

import os
import socket

__all__ = ["notify"]


def notify(state: str = "READY=1") -> bool:
    """Send a state to the service manager that started this process; return whether there is one. Safe in any thread.

    `system.serve(started=notify)` says that all handlers are at work; `perdure run` says so by itself.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = f"\0{address[1:]}" if address.startswith("@") else address  # an abstract name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(target)
            channel.sendall(state.encode())
    except OSError:
        return False  # it is only a notice: the manager will find out by its own timeout
    return True
