"""The front door: one `System` owns one data folder, starts and stops the actors, and takes what the host publishes.

What it is made of, and what serves with it, is here. Its base classes have the rest: `lifecycle` starts and stops it,
`handling/decorators`, `handling/consuming`, `publishing/publisher` and `publishing/results` ask what `runtime/current_run` finds.
Rules about messages are in `perdure.events`.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from perdure.actors.core.clock import Clock, SystemClock
from perdure.actors.core.executor import Threads
from perdure.arguments.choices import check_one_of
from perdure.arguments.parts import check_folder, check_has, check_is, fixed_path
from perdure.config import load_handlers, trace
from perdure.events.keyword_options import tells_misspelt
from perdure.events.loggers import GuardedLogger
from perdure.events.public_names import public
from perdure.events.seconds import shown
from perdure.handling.hooks import Hooks
from perdure.handling.registration import Registration
from perdure.lifecycle.start_and_stop import StartAndStop
from perdure.middleware import check_middleware
from perdure.operations.admin import Actors, Admin
from perdure.operations.asked_audit import AskedAudit
from perdure.operations.dead_letters import DeadLetters
from perdure.options import Options
from perdure.payloads.codecs import Codec, MessagePack
from perdure.payloads.type_names import TypeNames
from perdure.processes.role_rules import OWNERSHIP, Ownership
from perdure.publishing.drafts import Drafts, without_policy_where_unknown
from perdure.publishing.message_ids import Ids
from perdure.runtime.asking import HANDLERS_SETTLE_S
from perdure.runtime.process import live_systems, serving
from perdure.security.rights import Rights, asked_to_send
from perdure.store import EventStore, History, SegmentStore, canonical_address, is_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import SupportsIndex

    import svcs

    from perdure.actors.core.executor import Executor
    from perdure.middleware import Middleware
    from perdure.operations.audit import Audit
    from perdure.processes.roles import Roles
    from perdure.runtime.process.serving import Part
    from perdure.runtime.recovery_report import Recovery
    from perdure.security.rights import Authorize

__all__ = ["System"]

logger = GuardedLogger("perdure")

M = TypeVar("M")


def _check_parts(
    folder: str | Path | None,
    options: Options | None,
    store: EventStore | None,
    codec: Codec | None,
    clock: Clock | None,
) -> None:
    """Refuse wrong parts of a system by their names, before they can fail in one of its threads."""
    if folder is not None and is_postgres(check_folder(folder)):  # a folder of that name would be made, with the password in it
        msg = "folder: this is the address of a database; use perdure.Cluster, or store=perdure.PostgresStore(...)"
        raise ValueError(msg)
    check_is("options", options, Options)
    check_has("store", store, "an EventStore", ("open", "append", "frames"))
    check_has("codec", codec, "a codec, for example perdure.MessagePack()", ("encode", "decode"))
    check_has("clock", clock, "a Clock, for example perdure.ManualClock()", ("now_us", "wall_us", "subscribe"))


def _check_sharing(folder: str | Path | None, ownership: Ownership, *, shared: Any, spool: Any, deputy: Any) -> None:
    """Refuse what is wrong of the arguments about other processes, and what does not go together."""
    for name, value in (("shared", shared), ("spool", spool), ("deputy", deputy)):
        if not isinstance(value, bool):
            msg = f"{name}: True or False, not {shown(value)}"
            raise TypeError(msg)
    if shared and folder is None:
        msg = "shared: other processes find the system by its folder; it has a store instead of one"
        raise TypeError(msg)
    check_one_of("ownership", ownership, OWNERSHIP)
    if deputy and ownership == "never":
        msg = "deputy: it takes over when the owner ends, and ownership='never' says that this process does not"
        raise TypeError(msg)
    if shared:
        return
    for given, what in ((ownership != "auto", f"ownership: {ownership!r} is"), (spool, "spool: it is"), (deputy, "deputy: it is")):
        if given:
            msg = f"{what} for a folder that several processes share; give `shared=True` too"
            raise TypeError(msg)


@public
class System(StartAndStop):
    """An embedded, durable message queue in one folder.

    Args:
        folder: where the log and its snapshots are kept; created where it does not exist. One process at a time owns it.
        options: settings; see `Options`. The file of `config` and the environment override them, see `perdure.config`.
        store: another `EventStore` instead of a folder, for example `MemoryStore()`.
        codec: how objects become payloads; `MessagePack()` unless given.
        clock: the source of time; a `ManualClock` lets a test decide.
        seed: seed of the random generator (jitter, ids); random unless given.
        middleware: parts round every publish and handler call, outermost first; see `Middleware`.
        config: a TOML file with options that override the code; what `PERDURE_CONFIG` names unless given, else none.
        registry: the `svcs.Registry` from which handlers get their services.
        loop: the host's event loop. Coroutine handlers and hooks run on it, so they can use clients and pools that were made there.
            Unless given, the loop that `async with system:` runs on, or the system's own where it is started in any other way.
            `"own"`: always the system's own.
        executor: what the actors run on; threads unless given. For `perdure.chaos`.
        shared: several processes of this user use the folder with this same line. One owns it and runs the actors, see `role`;
            the others reach it over a Unix socket in the folder, and one of them takes over when it ends. Processes that only
            publish, ask and operate call `perdure.connect(folder)`. Without it nothing listens.
        ownership: of a shared folder. `"auto"`: owns it where no other process does. `"prefer"`: besides asks a process that does
            not prefer it to hand over. `"never"`: waits for another process that owns it.
        spool: of a shared folder: start and publish also while no process that owns it answers. The message is synced to a file of
            this process in the folder, and the next owner takes it in, once; see `connect`. All other calls wait for an owner.
        deputy: of a shared folder: while another process owns it, keep a copy of the backlog in memory, and fold into it all
            that the owner writes. Then a takeover needs no more than a check of that copy against the log. Several processes may be
            deputies; each has a copy, and the lock decides which of them takes over.
        authorize: asked before each act within `acting_as`, and before each request of another process: a function of principal,
            action and type that returns True to allow it; see `perdure.security`. All is allowed unless given.

    All methods may be called in any thread unless they say otherwise.
    """

    @tells_misspelt("System")
    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        options: Options | None = None,
        config: str | Path | None = None,
        store: EventStore | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        middleware: Sequence[Middleware] = (),
        registry: svcs.Registry | None = None,
        loop: asyncio.AbstractEventLoop | Literal["own"] | None = None,
        executor: Executor | None = None,
        shared: bool = False,
        ownership: Ownership = "auto",
        authorize: Authorize | None = None,
        spool: bool = False,
        deputy: bool = False,
    ) -> None:
        if (folder is None) == (store is None):
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        _check_parts(folder, options, store, codec, clock)
        _check_sharing(folder, ownership, shared=shared, spool=spool, deputy=deputy)
        middleware = check_middleware(middleware)
        check_has("registry", registry, "an svcs.Registry", ("register_factory",))
        self._shared = shared
        self._handlers_settle_s = HANDLERS_SETTLE_S if shared else 0.0
        self._ownership = ownership
        self.rights = Rights(authorize)
        self._spools = spool
        self._is_deputy = deputy
        self._configuration = trace(options, path=config)
        self.options = self._configuration.options
        self.clock: Clock = clock or SystemClock()
        self._executor: Executor = executor or Threads()
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - jitter and ids, no secrets
        ids = Ids(self.clock, self._rng)
        self.drafts = Drafts(TypeNames(), codec or MessagePack(), self.clock, ids, self.options, middleware)
        self.drafts.send = asked_to_send(self.rights, self.drafts.send, self.drafts.names.name)
        if spool:
            self.drafts.draft = without_policy_where_unknown(self.drafts.draft, self._knows_policy)
        if loop is not None and loop != "own" and not isinstance(loop, asyncio.AbstractEventLoop):
            msg = f"loop: an asyncio event loop, 'own' or None, not {shown(loop)}"
            raise TypeError(msg)
        self._loop = loop
        self._entered_on: asyncio.AbstractEventLoop | None = None
        """The loop of the `async with` that starts it."""
        self._hooks = Hooks()
        self._checked_out_types = {}
        self._store = store or self._folder_store(folder)
        self._registered = Registration(self.drafts, self.options, middleware, registry, load_handlers(path=config))
        self._lifecycle = self._lifecycle_steps()
        self._live_run: live_systems.Run | None = None
        self._roles: Roles | None = None
        """Of the run of a shared System."""
        self._parts: list[Callable[[], Part | None]] = []
        self.dead_letters = DeadLetters(self)
        self.admin = Admin(self)
        self.actors = Actors(self)
        self.audit: Audit = AskedAudit(self._store, self.permit, self.ask)
        self.inner = self._inner_system()
        self.recovery: Recovery | None = None
        """What the last start did to recover; None before the first start."""
        live_systems.remember_system(self)

    def _folder_store(self, folder: str | Path | None) -> SegmentStore:
        if folder is None:
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        archive = self.options.history_folder
        made = SegmentStore(
            fixed_path(folder),
            segment_bytes=self.options.segment_bytes,
            snapshots_kept=self.options.snapshots_kept,
            history=History(self.options.history, archive and fixed_path(archive, "history_folder")),
            now_us=self.clock.now_us,
        )
        self._shared_store = made if self._shared else None
        return made

    def __repr__(self) -> str:
        """Show the store and whether it runs."""
        return f"<perdure.System on {self._store!r}, {'running' if self.running else 'not running'}>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: always; a copy would share the folder and the threads, and another process has neither.
        """
        msg = (
            f"{self!r} can be neither copied nor pickled: it is its folder's only owner. Hand over the System itself within "
            "this process; another process publishes through this one, and reads with `perdure.Audit(folder)`."
        )
        raise TypeError(msg)

    @staticmethod
    def live(folder: str | Path) -> System | None:
        """Return the System of this process that runs in `folder`, or None. An earlier notebook cell may have started it, say."""
        found: System | None = live_systems.live(canonical_address(folder))
        return found

    def serve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then stop in good order; for a process that does nothing else. Only in the main thread.

        Starts the system unless it runs, and its parts (each `OutboxRelay` made for it, and what was passed to `include`); calls
        `started`; stops all of them at the end. A second signal ends the grace period. Also returns when the system is stopped.

        Args:
            grace: as `stop`.
            started: called once all of them are at work.

        Raises:
            NotRunning: the system has given up; `__cause__` says why.
            PerdureError: this is not the main thread.
            Others as `start`.
        """
        serving.serve(self, self._life(), grace, started)

    async def aserve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """As `serve`, from a coroutine on the main thread's event loop. Stops as well when the await is cancelled.

        Raises:
            As `serve`.
        """
        await serving.aserve(self, self._life(), grace, started)

    def _life(self) -> serving.Life:
        return serving.Life(lambda: self._engine is not None, lambda: self._engine, self._begin_served, self._enter_apart)
