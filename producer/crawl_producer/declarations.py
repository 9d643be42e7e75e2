"""What must exist in RabbitMQ, as plain values, and the promise of whoever can look and declare."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

Arguments = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange; ``arguments`` are immutable once declared."""

    name: str
    type: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue; ``arguments`` (type, limits, dead-lettering) are immutable once declared."""

    name: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages for ``key`` at ``source`` also go to ``destination``, a queue or another exchange."""

    source: str
    destination: str
    key: str = ""
    to_exchange: bool = False
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything, in an order that can be declared: what is referred to comes first."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


class State(Enum):
    """How a declared thing stands in the broker."""

    MISSING = "missing"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing's state, and for DIFFERENT the broker's own words about which argument differs."""

    state: State
    detail: str = ""


class TopologyAdmin(Protocol):
    """Looks at and declares exchanges, queues and bindings. Nothing here deletes a thing."""

    async def look(self, thing: Exchange | Queue) -> Finding:
        """Compare one exchange or queue with the broker, changing nothing."""

    async def declare(self, thing: Exchange | Queue) -> None:
        """Declare it; repeating is harmless. Raises TopologyDrift when it exists with other arguments."""

    async def bind(self, binding: Binding) -> None:
        """Bind; repeating is harmless. Raises TopologyMissing when either end does not exist."""

    async def purge(self, queue: str) -> int:
        """Drop the queue's ready messages; returns how many. Raises TopologyMissing."""
