"""`Cluster`, the front door of a queue that is spread over many hosts. Each host runs the same line of code.

The parts of a cluster and its handlers are here. Starting and stopping are in `joining_and_leaving`, publishing and asking in
`routed`, operators' questions in `sums`, what a process has once in `single`. `owning/keeper` decides which partitions run here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from perdure.actors.core.clock import SystemClock
from perdure.arguments.choices import check_one_of, check_whole
from perdure.arguments.parts import check_has, check_is
from perdure.cluster.across.waits import ClusterWaits
from perdure.cluster.adapted_handlers import adapted
from perdure.cluster.blueprint import Blueprint
from perdure.cluster.cluster_audit import ClusterAudit
from perdure.cluster.joining_and_leaving import JoiningAndLeaving
from perdure.cluster.owning.hosted import Hosting
from perdure.cluster.partition_access import PartitionAccess
from perdure.cluster.placed import InnerCluster
from perdure.cluster.routed import SpreadIds
from perdure.cluster.routing import PARTITIONS_MAX, PartitionIds, of_text
from perdure.cluster.sums import ClusterAdmin, ClusterDeadLetters
from perdure.config import load_handlers, trace
from perdure.events.errors import NotRunning
from perdure.events.keyword_options import tells_misspelt
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds
from perdure.handling.hooks import Hooks
from perdure.handling.registration import Registration
from perdure.middleware import check_middleware
from perdure.options import Options
from perdure.payloads.codecs import Codec, MessagePack
from perdure.payloads.type_names import TypeNames
from perdure.publishing.confirming import check_confirm
from perdure.publishing.drafts import Drafts, without_policy_where_unknown
from perdure.runtime.process import live_systems
from perdure.security.rights import Rights, asked_to_send
from perdure.store.postgres.connecting.postgres_address import PostgresAddress, checked_name
from perdure.store.postgres.nodes import Leases
from perdure.store.postgres.postgres_store import LEASE_S
from perdure.store.postgres.spread_ingress import SpreadIngress

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import SupportsIndex

    import svcs

    from perdure.actors.core.clock import Clock
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.cluster.owning.keeper import Keeper
    from perdure.handling.recurring.schedules import Schedule
    from perdure.middleware import Middleware
    from perdure.publishing.confirming import Confirm
    from perdure.publishing.message_ids import Ids
    from perdure.security.rights import Authorize
    from perdure.system import System

__all__ = ["Cluster"]


PARTITIONS = 16


@public
class Cluster(JoiningAndLeaving):
    """A queue in PostgreSQL, spread over all processes that run this same line; needs `pip install perdure[postgres]`.

    Each process runs the handlers for the partitions that it owns. When a process starts, stops or dies, the partitions are
    divided anew among those that run.

    Args:
        dsn: the database, `postgresql://user@host/database`.
        name: the queue. Queues in one database do not touch each other.
        partitions: into how many parts the queue is cut; the same in all processes, and fixed by the first start. At most so many
            processes can share the work.
        options: as `System`; bounds of backlog, results and dead letters hold for each partition.
        lease: seconds after which others take over from a process that was suspended or cut off.
        ownership: `"auto"`: this process owns its share of the partitions. `"never"`: it owns none and runs no handlers, for a
            process that only publishes, asks and operates.
        confirm: what a publish into a partition of another process waits for. `"database"`: its row is committed; what the owner
            refuses later becomes a dead letter. `"owner"`: the owner has it on record; a refusal is raised (DuplicateKey,
            QueueFull). This needs an owner.
        config, codec, clock, middleware, registry, loop, authorize: as `System`.

    All methods may be called in any thread unless they say otherwise.
    """

    @tells_misspelt("Cluster")
    def __init__(
        self,
        dsn: str,
        *,
        name: str,
        partitions: int = PARTITIONS,
        options: Options | None = None,
        lease: float = LEASE_S,
        ownership: Literal["auto", "never"] = "auto",
        config: str | Path | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        middleware: Sequence[Middleware] = (),
        registry: svcs.Registry | None = None,
        loop: asyncio.AbstractEventLoop | Literal["own"] | None = None,
        authorize: Authorize | None = None,
        confirm: Confirm = "database",
    ) -> None:
        check_is("options", options, Options)
        check_has("codec", codec, "a codec, for example perdure.MessagePack()", ("encode", "decode"))
        check_has("clock", clock, "a Clock, for example perdure.ManualClock()", ("now_us", "wall_us", "subscribe"))
        check_has("registry", registry, "an svcs.Registry", ("register_factory",))
        database = PostgresAddress.parse(dsn)
        self.name = checked_name(name)
        check_one_of("ownership", ownership, ("auto", "never"))
        self._owns = ownership == "auto"
        check_confirm(confirm)
        self.count = check_whole("partitions", partitions, 1, PARTITIONS_MAX)
        self.options = trace(options, path=config).options
        self.clock: Clock = clock or SystemClock()
        middleware = check_middleware(middleware)
        rng = random.SystemRandom()
        ids = SpreadIds([PartitionIds(self.clock, rng, number) for number in range(self.count)])
        self.drafts = Drafts(TypeNames(), codec or MessagePack(), self.clock, cast("Ids", ids), self.options, middleware)
        self._registered = Registration(self.drafts, self.options, middleware, registry, load_handlers(path=config))
        if not self._owns:  # without handlers, the policy of a key is not known here: the owner has it
            self.drafts.draft = without_policy_where_unknown(self.drafts.draft, self._registered.specs.__contains__)
        self._hooks = Hooks()
        self.rights = Rights(authorize)
        self.drafts.send = asked_to_send(self.rights, self.drafts.send, self.drafts.names.name)
        self._checked_out_types = {}
        self._parts = []
        self._outboxes = {}
        self._keeper: Keeper | None = None
        self._has_started = False
        blueprint = Blueprint(
            database=database,
            name=self.name,
            ids=ids.by_partition,
            leases=Leases(checked_seconds("lease", lease, above_zero=True)),
            drafts=self.drafts,
            clock=self.clock,
            options=options,
            config=config,
            codec=codec,
            registry=registry,
            loop=loop,
            authorize=authorize,
            publish=self._publish_children,
            confirm=confirm,
        )
        self._closing = False
        hosting = Hosting(self._system, self._changed, self._relay_at)
        self._waits = ClusterWaits(hosting, self.count)
        self.inner = InnerCluster(
            database=database,
            blueprint=blueprint,
            hosting=hosting,
            ids=ids,
            spread=SpreadIngress(database, self.name),
            access=PartitionAccess(hosting, blueprint.client, self.options.publish_timeout_s, self._check_running, self.count),
            forked=self._in_a_forked_child,
        )
        self._stand_on(self.inner)
        self._lifecycle = self._lifecycle_steps()
        self.dead_letters = ClusterDeadLetters(self)
        self.admin = ClusterAdmin(self)
        self.audit = ClusterAudit(self, self.permit, hosting.system)
        live_systems.remember_system(self)

    def __repr__(self) -> str:
        """Show the database and the queue, without a password, and whether it runs."""
        where = PostgresAddress(self._database.parameters, self.name).text
        return f"<perdure.Cluster on {where}, {'running' if self.running else 'not running'}>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Raise, since a cluster can be neither copied nor pickled.

        Raises:
            TypeError: always; another process makes a Cluster of its own.
        """
        raise TypeError(f"{self!r} can be neither copied nor pickled; make a Cluster of the same database in the other process")

    def _system(self, number: int, instead_of: str) -> System:
        system = self._blueprint.system(number, instead_of)
        for spec in [*self._registered.specs.values()]:
            system.inner.enter(adapted(spec, self.count))
        self._adopt_hooks(system)
        for schedule in [*self._registered.schedules.values()]:
            self._schedule_at(number, system, schedule)
        return system

    # --- handlers ----------------------------------------------------------------------------------------------------------

    def _schedule_at(self, number: int, system: System, schedule: Schedule) -> None:
        """Add a schedule to one partition alone, so that each tick happens once."""
        if of_text(schedule.name, self.count) == number:
            system.inner.enter_schedule(schedule)

    def _add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        self._hosting.register(lambda _, system: system.inner.enter(adapted(spec, self.count)))
        if schedule is not None:
            self._hosting.register(lambda number, system: self._schedule_at(number, system, schedule))

    def _enter_schedule(self, made: Schedule) -> None:
        self._registered.schedules[made.name] = made
        self._hosting.register(lambda number, system: self._schedule_at(number, system, made))

    # --- what the parts of the front door need ---------------------------------------------------------------------------------

    def _check_running(self) -> None:
        if not self.running:
            raise self._not_running()

    def _not_running(self) -> NotRunning:
        if self._forked_from is not None:
            return NotRunning(
                f"this process was forked from process {self._forked_from}, which runs the cluster, and a fork takes no threads "
                "along: make a Cluster here after the fork"
            )
        return NotRunning("the cluster takes no messages: it was not started, or was stopped. Use `with cluster:`, or `start()`")

    @property
    def _handled(self) -> Collection[str]:
        return self._registered.specs if self._owns else self._access.at(0).inner.handled()

    def permit(self, action: str, types: Callable[[], Iterable[str]] = lambda: ("",)) -> None:
        """See `Asking.permit`. Outside of `acting_as`, the application may do everything."""
        self.rights.require_of_acting(action, types)

    def _retries_of(self, type_name: str) -> int:
        spec = self._registered.specs.get(type_name)
        return self.options.retries if spec is None else spec.retries

    def _waiting_for(self, type_name: str) -> AbstractContextManager[None]:
        return self._waits.wait(type_name)

    def _check_may_block(self, call: str, instead: str, types: Any) -> None:
        for system in self._hosting.systems():
            system.inner.check_may_block(call, instead, types)
