"""A browser with an open page: it is notified of changes, and fetches its page again, at most as often as that page asks for.

Run as `python -m benchmarks.console.browser PORT`, until its input ends; it needs the standard library alone.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from http.client import HTTPConnection

WAIT_S = 30.0
READING = 202


def fetched(port: int, path: str) -> tuple[int, str]:
    """Return the status and text of a page."""
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def follow(port: int) -> None:
    """Keep a page open."""
    status, text = fetched(port, "/")
    while status == READING:
        time.sleep(0.4)
        status, text = fetched(port, "/")
    found = re.search(r'data-refresh="(\d+)"', text)
    least_s = int(found[1]) / 1000 if found else 2.0
    looked_s = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.request("GET", "/live")
    stream = connection.getresponse()
    while line := stream.readline():
        if line.startswith(b"event: grown") and time.monotonic() - looked_s >= least_s:
            looked_s = time.monotonic()
            fetched(port, "/")


if __name__ == "__main__":
    threading.Thread(target=follow, args=(int(sys.argv[1]),), daemon=True).start()
    sys.stdin.read()
