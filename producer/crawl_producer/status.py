"""A crawl's status: the ledger's books beside the queues' depths, read at one moment."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from crawl_dedup import LedgerName, Progress
from crawl_producer import names
from crawl_producer.broker import Broker, QueueDepth
from crawl_producer.errors import TopologyMissing
from crawl_producer.management import QueueCounts
from crawl_producer.topology import Topology

ReadProgress = Callable[[LedgerName], Awaitable[Progress | None]]


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue.

    ``ready`` is of this moment. ``unacked`` is what RabbitMQ last told its management API, up to five
    seconds ago, and None where that cannot be asked.
    """

    name: str
    ready: int
    unacked: int | None


@dataclass(frozen=True, slots=True)
class InboxStatus:
    """A queue that other systems publish URLs to.

    Attributes:
        name: its name.
        ready: messages that nobody has taken yet.
        unacked: messages that a crawl-seed has in hand; as for :class:`QueueStatus`.
        dead: messages that were no URL.
        served_by: crawl-seeds that take from it now.
    """

    name: str
    ready: int
    unacked: int | None
    dead: int
    served_by: int


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One crawl and group.

    Attributes:
        crawl, group: whose books.
        state: ``not started`` | ``running`` | ``complete``.
        admitted: URLs ever admitted.
        done: URLs that ended.
        outcomes: done URLs by how they ended.
        counts: discovered, duplicate and filtered links.
        in_flight: URLs handed to consumers now; None where the management API cannot be asked.
        waiting: URLs in the group's queues.
        parked: URLs on the ladder of delays (what is open, and neither waiting nor in flight).
        dead: dead letters kept.
        outboxes: pages whose links RabbitMQ has not all confirmed.
        queues: each of the group's queues, with its companion and dead letters.
        inboxes: of the crawl; they feed all of its groups, and are shown with the first.
    """

    crawl: str
    group: str
    state: str
    admitted: int
    done: int
    outcomes: Mapping[str, int]
    counts: Mapping[str, int]
    in_flight: int | None
    waiting: int
    parked: int | None
    dead: int
    outboxes: int
    queues: tuple[QueueStatus, ...]
    inboxes: tuple[InboxStatus, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that was admitted has ended."""
        return self.state == "complete"

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)


async def read(
    topology: Topology,
    crawl: str,
    broker: Broker,
    progress: ReadProgress,
    counts: Mapping[str, QueueCounts] | None,
) -> tuple[GroupStatus, ...]:
    """The status of each group of a crawl.

    Args:
        topology: exchanges.yaml.
        crawl: its name there.
        broker: asked for ready messages.
        progress: reads one ledger's books; None when nothing was ever admitted.
        counts: the management API's queue counts, or None.
    """
    return tuple(
        [
            _group(
                crawl,
                group,
                await progress(LedgerName(crawl, group)),
                await _queues(topology, crawl, group, broker, counts),
                await _inboxes(topology, crawl, group, broker, counts),
            )
            for group in topology.groups(crawl)
        ]
    )


async def _queues(
    topology: Topology, crawl: str, group: str, broker: Broker, counts: Mapping[str, QueueCounts] | None
) -> Sequence[QueueStatus]:
    mine = [name for name, queue in topology.queues.items() if (queue.crawl, queue.group) == (crawl, group)]
    every = [derived for queue in mine for derived in (queue, names.due_queue(queue), names.dead_queue(queue))]
    return [await _queue(name, broker, counts) for name in every]


async def _inboxes(
    topology: Topology, crawl: str, group: str, broker: Broker, counts: Mapping[str, QueueCounts] | None
) -> Sequence[InboxStatus]:
    mine = [name for name in topology.inboxes if topology.ledger_of(name) == (crawl, group)]
    return [await _inbox(name, broker, counts) for name in mine]


async def _inbox(name: str, broker: Broker, counts: Mapping[str, QueueCounts] | None) -> InboxStatus:
    depth, dead = await _depth(name, broker), await _depth(names.dead_queue(name), broker)
    return InboxStatus(name, depth.ready, _unacked(name, counts), dead.ready, depth.consumers)


async def _queue(name: str, broker: Broker, counts: Mapping[str, QueueCounts] | None) -> QueueStatus:
    return QueueStatus(name, (await _depth(name, broker)).ready, _unacked(name, counts))


async def _depth(name: str, broker: Broker) -> QueueDepth:
    """What there is; nothing, where there is no such queue."""
    try:
        return await broker.depth(name)
    except TopologyMissing:
        return QueueDepth(0, 0)


def _unacked(name: str, counts: Mapping[str, QueueCounts] | None) -> int | None:
    return counts[name].unacked if counts is not None and name in counts else None


def _group(
    crawl: str, group: str, books: Progress | None, queues: Sequence[QueueStatus], inboxes: Sequence[InboxStatus]
) -> GroupStatus:
    books = books or Progress(admitted=0, open=0, outboxes=0, counts={})
    work = [queue for queue in queues if not queue.name.startswith(names.dead_queue(""))]
    waiting = sum(queue.ready for queue in work)
    unacked = [queue.unacked for queue in work if queue.unacked is not None]
    in_flight = sum(unacked) if len(unacked) == len(work) else None
    return GroupStatus(
        crawl=crawl,
        group=group,
        state="complete" if books.complete else "running" if books.admitted else "not started",
        admitted=books.admitted,
        done=books.admitted - books.open,
        outcomes=books.outcomes,
        counts={k: v for k, v in books.counts.items() if not k.startswith("outcome:")},
        in_flight=in_flight,
        waiting=waiting,
        parked=None if in_flight is None else max(0, books.open - waiting - in_flight),
        dead=sum(queue.ready for queue in queues if queue not in work),
        outboxes=books.outboxes,
        queues=tuple(queues),
        inboxes=tuple(inboxes),
    )
