"""One connection of this process to a database, over which a hint comes to each sleeping owner that something arrived for it.

An owner that finds nothing notes in the database that it sleeps; the next row for it then sends one NOTIFY. A hint may be missed,
so one statement every `LOOK_S` seconds looks for all that sleep. Nothing here reads what came.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import psycopg

from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.enduring_thread import EnduringThread
from perdure.store.postgres.connecting.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["Watch", "Watched", "watched"]

logger = GuardedLogger("perdure.store")

LOOK_S = 2.0
"""How often all that sleep are looked at, in case a hint was missed."""
AGAIN_S = 0.1
"""Seconds until the first look after an owner fell asleep: a row that was on its way then sends no hint, and is there by now."""
RETRY_S = 0.5
_WAITING = """
SELECT u.q, u.k FROM unnest(%s::text[], %s::int[]) AS u (q, k)
WHERE EXISTS (SELECT FROM perdure.ingress i WHERE i.queue = u.q AND i.number = u.k AND i.taken_by IS NULL)
   OR EXISTS (SELECT FROM perdure.channel c WHERE c.queue = u.q AND c.number = u.k AND (c.gone OR EXISTS (
              SELECT FROM perdure.channel_part p WHERE p.channel = c.id AND p.to_owner)))
"""
_Key = tuple[str, int]


class Watched:
    """One partition as its owner in this process waits for it. Safe in any thread."""

    def __init__(self, watch: Watch, key: _Key) -> None:
        self._watch = watch
        self.key = key
        self.wakes: list[Callable[[], None]] = []
        self.wants_rest = False
        self.is_asleep = False
        """The next row sends a hint."""

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake`, in the watch's thread, whenever something may have come since `rest`."""
        self.wakes.append(wake)

    def rest(self) -> bool:
        """Note that nothing is left to be read. Return whether the database knows that: then no look is needed until `wake`."""
        if self.is_asleep:
            return True
        if not self.wants_rest:
            self.wants_rest = True
            self._watch.look()
        return False

    def wake(self) -> None:
        """Call all that subscribed."""
        for wake in [*self.wakes]:
            wake()

    def close(self) -> None:
        """Wait for nothing any more."""
        self.wakes.clear()
        self._watch.drop(self)


class Watch:
    """The connection and its thread, for as long as this process waits for any partition of the database."""

    def __init__(self, address: PostgresAddress) -> None:
        self._database = Database(address)
        self._hint = f"perdure_{uuid.uuid4().hex}"
        self._lock = threading.Lock()
        self._watched: dict[_Key, Watched] = {}
        self._pipe_out, self._pipe_in = os.pipe()
        os.set_blocking(self._pipe_in, False)
        self._is_closed = False
        self._look_s = 0.0
        self._hints: list[str] = []
        """Of partitions for which something came, in whatever call they were received."""
        try:
            EnduringThread(self._run, "perdure-watch").start()
        except BaseException:
            os.close(self._pipe_out)
            os.close(self._pipe_in)
            raise

    def add(self, key: _Key) -> Watched:
        """Return a partition to wait for, in place of one that waited before. In any thread."""
        with self._lock:
            self._watched[key] = made = Watched(self, key)
        return made

    def drop(self, watched: Watched) -> None:
        """Wait for a partition no more; the last one ends the thread. In any thread."""
        with _lock:
            with self._lock:
                if self._watched.get(watched.key) is watched:
                    del self._watched[watched.key]
                if self._watched or self._is_closed:
                    return
                self._is_closed = True
            for name in [name for name, watch in _watches.items() if watch is self]:
                del _watches[name]
        self.look()

    def look(self) -> None:
        """Wake the thread, so that it looks. In any thread."""
        with self._lock, contextlib.suppress(OSError):  # full: it was asked often enough
            if self._pipe_in >= 0:
                os.write(self._pipe_in, b"\0")

    def _run(self) -> None:
        while not self._is_closed:
            try:
                with contextlib.closing(self._database.connect()) as connection:
                    connection.add_notify_handler(lambda notify: self._hints.append(notify.payload))
                    connection.execute(f"LISTEN {self._hint}".encode())
                    while not self._is_closed:
                        self._turn(connection)
            except (psycopg.Error, PerdureError) as error:
                if not self._is_closed:
                    logger.warning("the database is not heard, it is tried again: %s", " ".join(str(error).split()))
                    self._wake_all()
                    time.sleep(RETRY_S)
            except Exception:
                logger.exception("the watch of a database failed; it goes on")
                time.sleep(RETRY_S)
        self._database.close()
        with self._lock:
            pipe_in, self._pipe_in = self._pipe_in, -1
            if pipe_in >= 0:  # else the thread was interrupted here
                os.close(self._pipe_out)
                os.close(pipe_in)

    def _turn(self, connection: psycopg.Connection[Any]) -> None:
        """Wait until it is asked to look, for a hint, or for the time to look, and do what is needed."""
        poll = select.poll()
        poll.register(self._pipe_out, select.POLLIN)
        poll.register(connection.fileno(), select.POLLIN)
        sleepers = self._those(lambda watched: watched.is_asleep)
        wait_s = (max(0.0, self._look_s - time.monotonic()) if sleepers else LOOK_S) if not self._hints else 0.0
        ready = dict(poll.poll(wait_s * 1000))
        if self._pipe_out in ready:
            os.read(self._pipe_out, 4096)
            self._put_to_sleep(connection)
        if connection.fileno() in ready:
            self._receive(connection)
        hints, self._hints = self._hints, []
        for hint in hints:
            number, _, queue = hint.partition(":")
            self._wake((queue, int(number)))
        sleepers = self._those(lambda watched: watched.is_asleep)
        if sleepers and time.monotonic() >= self._look_s:
            self._look_s = time.monotonic() + LOOK_S
            for queue, number in connection.execute(_WAITING, _split(sleepers)):
                self._wake((queue, number))

    def _put_to_sleep(self, connection: psycopg.Connection[Any]) -> None:
        tired = self._those(lambda watched: watched.wants_rest)
        if not tired:
            return
        connection.execute("SELECT perdure.rest(%s::text[], %s::int[], %s)", [*_split(tired), self._hint])
        self._look_s = time.monotonic() + AGAIN_S
        for watched in tired:
            watched.is_asleep, watched.wants_rest = True, False
            watched.wake()  # for what came before this was known

    def _receive(self, connection: psycopg.Connection[Any]) -> None:
        raw = connection.pgconn
        raw.consume_input()
        while (notify := raw.notifies()) is not None:
            self._hints.append(notify.extra.decode("utf-8", "replace"))

    def _those(self, are: Callable[[Watched], bool]) -> list[Watched]:
        with self._lock:
            return [watched for watched in self._watched.values() if are(watched)]

    def _wake(self, key: _Key) -> None:
        watched = self._watched.get(key)
        if watched is not None:
            watched.is_asleep = False
            watched.wake()

    def _wake_all(self) -> None:
        for watched in self._those(lambda _: True):
            watched.wants_rest = False
            self._wake(watched.key)


def _split(of: list[Watched]) -> list[list[str] | list[int]]:
    return [[watched.key[0] for watched in of], [watched.key[1] for watched in of]]


_watches: dict[tuple[str, int], Watch] = {}
"""By the text of a database and this process's pid."""
_lock = threading.Lock()


def watched(address: PostgresAddress) -> Watched:
    """Return the partition at an address, to wait for it; all of this process and one database share a connection.

    A process that was forked begins anew.
    """
    name = (address.dsn, os.getpid())
    with _lock:
        watch = _watches.get(name)
        if watch is None:
            _watches[name] = watch = Watch(address)
        return watch.add((str(address.name), int(address.partition or 0)))


def _in_a_forked_child() -> None:
    """Forget the connections of the parent, and a lock that one of its threads may have held."""
    global _lock  # noqa: PLW0603 - a thread that the child lacks may have held it
    _lock = threading.Lock()
    _watches.clear()


os.register_at_fork(after_in_child=_in_a_forked_child)
