"""The difference between what must be in RabbitMQ and what is, and closing it without deleting anything."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from crawl_producer.declarations import Declarations, Exchange, Queue, State, TopologyAdmin
from crawl_producer.errors import TopologyDrift

log = logging.getLogger(__name__)

#: Requests under way at once. Declaring a quorum queue starts a Raft cluster, tens of milliseconds each; a
#: few side by side hide that, many make the nodes slower for everybody.
AT_ONCE = 4

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange or queue, how it stands in RabbitMQ, and for DIFFERENT the broker's own words."""

    thing: Exchange | Queue
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How every declared thing stands.

    Bindings have no state: AMQP has no way to ask for them, and binding again is harmless.
    """

    wanted: Declarations
    steps: tuple[Step, ...]

    def in_state(self, state: State) -> tuple[Step, ...]:
        """The steps that are in ``state``, in the order of declaration."""
        return tuple(step for step in self.steps if step.state is state)

    @property
    def complete(self) -> bool:
        """Whether every exchange and queue is there as it should be."""
        return all(step.state is State.SAME for step in self.steps)


@dataclass(frozen=True, slots=True)
class Applied:
    """What :func:`apply` did: what it declared, what it left as it is because it cannot be changed."""

    declared: tuple[Exchange | Queue, ...]
    bound: int
    different: tuple[Step, ...]


async def plan(wanted: Declarations, admin: TopologyAdmin) -> Plan:
    """Compare every exchange and queue with the broker, changing nothing.

    Raises:
        BrokerUnreachable, BrokerRefused: the broker could not be asked.
    """
    things: tuple[Exchange | Queue, ...] = (*wanted.exchanges, *wanted.queues)
    findings = await _few_at_once(admin.look, things)
    return Plan(wanted, tuple(Step(t, f.state, f.detail) for t, f in zip(things, findings, strict=True)))


async def apply(current: Plan, admin: TopologyAdmin) -> Applied:
    """Declare what is missing, then bind everything. Never deletes, and leaves alone what differs.

    Repeating it is harmless; what fails half-way is completed by the next call.

    Raises:
        TopologyMissing: an end of a binding was deleted meanwhile.
        BrokerUnreachable, BrokerRefused: the broker could not be asked, or does not allow it.
    """
    missing = [step.thing for step in current.in_state(State.MISSING)]
    steps: list[Step] = []
    # Exchanges before queues: a queue's dead-letter exchange is there before the queue is.
    for kind in (Exchange, Queue):
        steps += await _few_at_once(_declare_by(admin), [thing for thing in missing if isinstance(thing, kind)])
    await _few_at_once(admin.bind, current.wanted.bindings)
    late = tuple(step for step in steps if step.state is State.DIFFERENT)
    declared = tuple(step.thing for step in steps if step.state is State.SAME)
    return Applied(declared, len(current.wanted.bindings), (*current.in_state(State.DIFFERENT), *late))


def _declare_by(admin: TopologyAdmin) -> Callable[[Exchange | Queue], Awaitable[Step]]:
    async def declare(thing: Exchange | Queue) -> Step:
        try:
            await admin.declare(thing)
        except TopologyDrift as error:
            # Somebody else declared it, in another way, since the plan was made.
            return Step(thing, State.DIFFERENT, str(error))
        log.info("declared %s %s", type(thing).__name__.lower(), thing.name)
        return Step(thing, State.SAME)

    return declare


async def _few_at_once(work: Callable[[_T], Awaitable[_R]], items: Iterable[_T]) -> list[_R]:
    """The results in the order of ``items``; the first error stops the rest and is raised as itself."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: _T) -> _R:
        async with gate:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
