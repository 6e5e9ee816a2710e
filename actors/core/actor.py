"""The base class of all actors: a Pykka actor that drains its mailbox in batches and reports its death.

Pykka's own loop takes one envelope at a time, lets a BaseException stop every actor of the process, and reports no death; this
class differs in these points. What is restarted, and when, is in `actors/services/supervisor.py`.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Protocol

import pykka

from perdure.actors.core.foreign_lines import left_out
from perdure.actors.core.threads.async_exceptions import take_back, throw
from perdure.actors.core.threads.current_actor import CURRENT
from perdure.actors.core.threads.mailbox import PYKKA_ITEMS, Mailbox, stops
from perdure.actors.core.threads.thread_start import thread_starts
from perdure.store.disk.background_thread import BackgroundThread
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOREIGN_ERRORS", "Actor", "ActorKilled"]


ROUSE_FIRST_S, ROUSE_GROWTH, ROUSE_MAX_S = 0.005, 1.01, 0.25
"""The pauses between attempts to wake an actor that is to die: short, as each may wake another that shares its mailbox."""
REPORTS_MAX = 5
"""How often the end of an actor is reported, where the report raises, before its exception is taken for a permanent one."""


class ActorKilled(BaseException):
    """Raised in the thread of an actor that was killed. Not an Exception, so that nothing handles it by accident."""


FOREIGN_ERRORS = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What code of the host may raise in an actor's thread without ending it. Asynchronous exceptions are not among them."""


class _Wake:
    """An item that only ends a wait at a mailbox."""


_UNUSUAL = PYKKA_ITEMS | {_Wake}
"""What a mailbox may hold beside messages."""


class Home(Protocol):
    """What an actor needs of the directory that it is entered in."""

    @property
    def tell(self) -> Callable[[str, Any], None]:
        """Put a message into the mailbox of the actor of this name."""

    def terminated(self, actor: Actor, cause: BaseException | None) -> None:
        """Take note that an actor's thread has ended."""


class Actor(pykka.ThreadingActor):
    """Base of all actors. `name` is the role, which passes to the successor; `generation` counts the actors that have had it."""

    use_daemon_thread = True
    idle_after_s: float | None = None
    """After this time without a message `on_idle` runs once; None: never."""
    runs_handlers = False
    """The host's handlers run in its thread, so waiting there for the answer of another actor is allowed."""
    stands_in = False
    """A thread of the host does the actor's work for a moment: a signal handler that interrupts it may wait, callbacks may not."""
    runs_host_code = False
    """It runs code of the host, which may take any time; a stop waits for it only for a bounded time."""

    def __init__(self, directory: Home, name: str, generation: int) -> None:
        super().__init__()
        self.directory = directory
        self.name = name
        self.generation = generation
        self.killed = False
        self._life = threading.Lock()
        self.in_loop = False
        """Its thread runs our code; before and after, it runs `threading`'s, in which no asynchronous exception may be raised."""
        self.is_beginning = False
        """Its thread has been started, and `on_start`, which may raise, has not ended."""
        self.at_rest = False
        """It has ended in good order, after it handled everything that it had received."""
        self.thread: threading.Thread | None = None
        self.in_callback = False
        """A callback of the host runs in its thread."""
        self._busy = False

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    def start_thread(self) -> None:
        """Run in a thread of its own."""
        thread = BackgroundThread(self._actor_loop, f"perdure-{self.name}")
        self.is_beginning = True
        with thread_starts.lock:
            thread.start()
            self.thread = thread

    def _actor_loop(self) -> None:
        cause: BaseException | None = None
        CURRENT.actor = self
        try:
            with self._life:
                self.in_loop = not self.killed
            if self.in_loop:
                self.on_start()
                self.is_beginning = False
                self.run()
            else:
                cause = ActorKilled(self.name)
        except ActorKilled:
            # A new exception, whose traceback is empty: a cursor that the actor was reading would lock the host's database.
            cause = ActorKilled(self.name)
        except BaseException as error:  # noqa: BLE001 - whatever ends an actor is reported to its supervisor
            cause = error
        finally:
            self._report_end(cause)
            cause = None  # its traceback leads to this frame: only the collector would free what the actor had

    def _report_end(self, cause: BaseException | None) -> None:
        """Report the end, again where an exception that is thrown into the thread interrupts that; two reports are harmless."""
        for left in reversed(range(REPORTS_MAX)):
            try:
                with self._life:
                    self.in_loop = False
                take_back()  # a late asynchronous exception must not be raised in `threading`
                self.end(cause)
            except BaseException:
                if not left:
                    raise
            else:
                return

    def end(self, cause: BaseException | None) -> None:
        """Mark the actor as ended and report it; `cause` None: it ended in good order."""
        self.actor_stopped.set()
        with left_out():
            pykka.ActorRegistry.unregister(self.actor_ref)
        self.directory.terminated(self, cause)

    def run(self) -> None:
        """Take turns until a stop is asked for."""
        while True:
            items = self.receive()
            if self.killed:
                raise ActorKilled(self.name)
            if not self.turn(items):
                return
            del items  # else the last of them (a dead actor, a payload) would stay alive until the next message

    def receive(self) -> list[Any]:
        """Wait for messages, no longer than `patience_s`; return all that are there."""
        inbox: Mailbox = self.actor_inbox  # type: ignore[assignment]  # see `_create_actor_inbox`
        return inbox.drain(self.patience_s())

    def patience_s(self) -> float | None:
        """Return the seconds to wait for messages before a turn without any; None: without limit."""
        return self.idle_after_s if self._busy else None

    def turn(self, items: list[Any]) -> bool:
        """Handle the items of one `receive` (none: the wait was over); return False where one of them asks for a stop."""
        self._busy = bool(items)
        if not items:
            self.on_idle()
            return True
        if _UNUSUAL.isdisjoint(map(type, items)):
            self.on_batch(items)
            return True
        messages = [item for item in items if type(item) is not _Wake]
        stopping = next((i for i, message in enumerate(messages) if stops(message)), None)
        if stopping is None:
            self.on_batch(messages)
            return True
        self.on_batch(messages[:stopping])
        self.on_stop()
        self.at_rest = True
        return False

    def on_batch(self, messages: list[Any], /) -> None:
        """Handle a batch of messages. Runs in the actor's thread; an exception that it raises is the actor's death."""
        raise NotImplementedError

    def on_idle(self) -> None:
        """Do work that was put off until no message came for a while. Runs in the actor's thread."""

    def kill(self) -> None:
        """Kill the actor at the instruction that its thread has reached; nothing is tidied up. Callable in any thread.

        A thread inside a C call (a sleep, a system call) dies when the call returns.
        """
        with thread_starts.lock, self._life:
            if self.killed:
                return  # a second exception could hit another thread that gets the same id
            self.killed = True
            thread = self.thread
            if thread is None or not self.in_loop:
                return  # it is just beginning, and then checks `killed` itself; or it is just ending
            throw(thread.ident or 0, ActorKilled)
        self.rouse()
        # The exception may be raised in the very lines that report a death, so another thread reports it as well.
        with contextlib.suppress(RuntimeError):  # none can be had: the dying thread alone reports it
            EnduringThread(self._reap, f"perdure-reaper-{self.name}", thread).start()

    def rouse(self) -> None:
        """End a wait at the mailbox."""
        self.actor_inbox.put(_Wake())  # type: ignore[arg-type]  # our mailbox takes messages without envelopes

    def _reap(self, thread: threading.Thread) -> None:
        pause_s = ROUSE_FIRST_S
        thread.join(pause_s)
        while thread.is_alive():
            # It may wait at a shared mailbox where another actor has taken the item that was meant to wake it: items in quick
            # succession all go to one actor. While the mailbox is not empty, some actor is about to take from it.
            if self.actor_inbox.empty():
                self.rouse()
            pause_s = min(ROUSE_GROWTH * pause_s, ROUSE_MAX_S)
            thread.join(pause_s)
        self.actor_stopped.set()
        self.directory.terminated(self, ActorKilled(self.name))
