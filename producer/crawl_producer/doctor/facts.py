"""What the doctor has observed, as frozen values; None is what nobody could tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crawl_dedup import LedgerDebts, LedgerName, Members, Progress


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """One ledger: its books, its debts, (asked to look deep) the sizes of its sets, and the queues that serve it."""

    name: LedgerName
    books: Progress
    debts: LedgerDebts = field(default_factory=LedgerDebts)
    members: Members | None = None
    queues: tuple[str, ...] = ()

    @property
    def consumers(self) -> int:
        """Living consumers; seeders and tools have a heartbeat too."""
        return sum(name.startswith("crawl-consumer@") for name in self.debts.alive)


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """One queue.

    ``ready`` and ``consumers`` are of this moment; the rest is what the management API knew at RabbitMQ's last tick,
    up to five seconds ago.

    Attributes:
        name: its name.
        ready: messages that wait.
        consumers: channels that consume it.
        unacked: messages handed out and not settled.
        held: messages that are neither: on their way to where dead letters go.
        type: ``quorum``, ``classic`` or ``stream``.
        members, online: nodes that have a copy, and those of them that run; 0 where it is not replicated.
        followers: of those that run, the nodes that do not lead it.
        max_length: as it is in force, whether from an argument or a policy.
        delivery_limit: likewise.
        policy: the policy that applies to it, or an empty string.
        consumer_timeout_ms: likewise, where it has one of its own.
        mirrored: whether a policy mirrors it, in the way that RabbitMQ 4.0 has removed.
    """

    name: str
    ready: int = 0
    consumers: int = 0
    unacked: int | None = None
    held: int = 0
    type: str | None = None
    members: int = 0
    online: int = 0
    followers: tuple[str, ...] = ()
    max_length: int | None = None
    delivery_limit: int | None = None
    policy: str = ""
    consumer_timeout_ms: int | None = None
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One RabbitMQ node, as the management API tells."""

    name: str
    running: bool = True
    memory_alarm: bool = False
    disk_alarm: bool = False
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    disk_free_bytes: int = 0
    disk_limit_bytes: int = 0
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel with messages in hand: whose it is, how many, and for how long nothing has moved on it."""

    connection: str
    unacked: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """RabbitMQ.

    Attributes:
        queues: those that exist of the topology's, by name.
        management: where its management API answers; None: it could not be asked, and what only it tells is unknown.
        version: of the node that answered, ``3.10.8``.
        nodes: of the cluster.
        blocked: connections that RabbitMQ does not read from.
        channels: those with messages in hand.
    """

    queues: Mapping[str, QueueFacts]
    management: str | None = None
    version: str | None = None
    nodes: tuple[NodeFacts, ...] = ()
    blocked: tuple[str, ...] = ()
    channels: tuple[ChannelFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadFacts:
    """The dead letters of one work queue.

    Attributes:
        open: distinct URLs that are open, among the letters that were read.
        unread: letters that were not.
    """

    open: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """The books and the queues, read one after the other; and the dead letters of work queues, where they matter."""

    ledgers: tuple[LedgerFacts, ...]
    queues: Mapping[str, QueueFacts]
    dead: Mapping[str, DeadFacts] = field(default_factory=dict)
