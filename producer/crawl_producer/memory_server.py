"""A broker in this process: exchanges, bindings and queues that route as RabbitMQ does."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

from crawl_producer.declarations import Arguments, Binding, Exchange, Finding, Queue, State
from crawl_producer.errors import TopologyDrift, TopologyMissing
from crawl_producer.memory_queue import MemoryQueue, Stored
from crawl_producer.topic import topic_matches


class Routed(Enum):
    """What became of a publication."""

    ACCEPTED = "accepted"
    UNROUTABLE = "unroutable"
    REFUSED = "refused"  #: a queue that it was routed to is full; others may have it


class MemoryServer:
    """The state that :class:`crawl_producer.memory_broker.MemoryBroker` clients share."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}
        self.queues: dict[str, MemoryQueue] = {}
        self._bindings: dict[str, dict[tuple[str, bool, str], Binding]] = {}
        self._readable = asyncio.Event()
        self._readable.set()
        #: Called with a queue's name when it is deleted, and when it is declared anew.
        self.on_queue: list[Callable[[str], None]] = []

    def __repr__(self) -> str:
        return f"<MemoryServer {len(self.exchanges)} exchanges, {list(self.queues.values())}>"

    def look(self, thing: Exchange | Queue) -> Finding:
        """Compare one declaration with what is there."""
        there = self._declaration(thing)
        if there is None:
            return Finding(State.MISSING)
        if (difference := _difference(thing, there)) is not None:
            return Finding(State.DIFFERENT, difference)
        return Finding(State.SAME)

    def declare(self, thing: Exchange | Queue) -> None:
        """Declare; repeating is harmless. Raises TopologyDrift."""
        finding = self.look(thing)
        if finding.state is State.DIFFERENT:
            raise TopologyDrift(finding.detail, remedy="delete it, or name a new one")
        if finding.state is State.SAME:
            return
        if isinstance(thing, Exchange):
            self.exchanges[thing.name] = thing
        else:
            self.queues[thing.name] = MemoryQueue(thing, self._bury)
            self._tell(thing.name)

    def bind(self, binding: Binding) -> None:
        """Bind; repeating is harmless. Raises TopologyMissing."""
        self.exchange(binding.source)
        if binding.to_exchange:
            self.exchange(binding.destination)
        else:
            self.queue(binding.destination)
        identity = (
            binding.destination,
            binding.to_exchange,
            f"{binding.key} {sorted(binding.arguments.items())}",
        )
        self._bindings.setdefault(binding.source, {})[identity] = binding

    def delete_queue(self, name: str) -> None:
        """Delete a queue with its messages and bindings; its consumers are cancelled."""
        del self.queues[name]
        for bindings in self._bindings.values():
            for identity in [i for i, b in bindings.items() if b.destination == name and not b.to_exchange]:
                del bindings[identity]
        self._tell(name)

    def exchange(self, name: str) -> Exchange:
        """The exchange. Raises TopologyMissing."""
        if name not in self.exchanges:
            raise TopologyMissing(f"no exchange {name!r} in this broker", remedy="declare it first")
        return self.exchanges[name]

    def queue(self, name: str) -> MemoryQueue:
        """The queue. Raises TopologyMissing."""
        if name not in self.queues:
            raise TopologyMissing(f"no queue {name!r} in this broker", remedy="declare it first")
        return self.queues[name]

    def block(self) -> None:
        """Stop reading from publishers, as RabbitMQ does when it is short of memory or disk."""
        self._readable.clear()

    def unblock(self) -> None:
        """Read from publishers again."""
        self._readable.set()

    @property
    def blocked(self) -> bool:
        """Whether publishers must wait."""
        return not self._readable.is_set()

    async def readable(self) -> None:
        """Wait until publishers are read from."""
        await self._readable.wait()

    def publish(self, exchange: str, message: Stored) -> Routed:
        """Route a message into every queue that wants it. Raises TopologyMissing."""
        queues = [self.queues[name] for name in self._route(exchange, message)]
        if not queues:
            return Routed.UNROUTABLE
        accepting = [queue for queue in queues if not queue.full]
        for queue in accepting:
            queue.put(replace(message))
        return Routed.ACCEPTED if len(accepting) == len(queues) else Routed.REFUSED

    def _route(self, exchange: str, message: Stored) -> dict[str, None]:
        """The queues' names, each once. An exchange is visited once, so that bindings in a circle end."""
        queues: dict[str, None] = {}
        todo, seen = [self.exchange(exchange)], set[str]()
        while todo:
            current = todo.pop()
            if current.name in seen:
                continue
            seen.add(current.name)
            taken = [b for b in self._bindings.get(current.name, {}).values() if _takes(current.type, b, message)]
            queues |= dict.fromkeys(b.destination for b in taken if not b.to_exchange)
            onward = [b.destination for b in taken if b.to_exchange]
            if not taken and "alternate-exchange" in current.arguments:
                onward = [str(current.arguments["alternate-exchange"])]
            todo.extend(self.exchanges[name] for name in onward if name in self.exchanges)
        return queues

    def _bury(self, exchange: str, routing_key: str, message: Stored) -> None:
        """Publish a dead letter; as in RabbitMQ it is dropped when its exchange or route is missing."""
        if exchange in self.exchanges:
            self.publish(exchange, replace(message, routing_key=routing_key, deliveries=0, expires_s=None))

    def _declaration(self, thing: Exchange | Queue) -> Exchange | Queue | None:
        if isinstance(thing, Exchange):
            return self.exchanges.get(thing.name)
        queue = self.queues.get(thing.name)
        return queue.declaration if queue else None

    def _tell(self, queue: str) -> None:
        for told in self.on_queue:
            told(queue)


def _difference(thing: Exchange | Queue, there: Exchange | Queue) -> str | None:
    """In RabbitMQ's words, what differs between two declarations of one name."""
    kind = type(thing).__name__.lower()
    wanted, current = _arguments(thing), _arguments(there)
    for argument in sorted(wanted.keys() | current.keys()):
        if wanted.get(argument) != current.get(argument):
            return (
                f"inequivalent arg {argument!r} for {kind} {thing.name!r}: "
                f"received {wanted.get(argument)!r} but current is {current.get(argument)!r}"
            )
    return None


def _arguments(thing: Exchange | Queue) -> Arguments:
    return {**thing.arguments, "type": thing.type} if isinstance(thing, Exchange) else thing.arguments


def _takes(kind: str, binding: Binding, message: Stored) -> bool:
    match kind:
        case "fanout":
            return True
        case "topic":
            return topic_matches(binding.key, message.routing_key)
        case "headers":
            return _headers_match(binding.arguments, message.headers)
    return binding.key == message.routing_key


def _headers_match(wanted: Arguments, headers: Mapping[str, object]) -> bool:
    """All of the binding's arguments fit, or one with ``x-match: any``; those named ``x-...`` do not count."""
    hits = [headers.get(name) == value for name, value in wanted.items() if not name.startswith("x-")]
    return any(hits) if wanted.get("x-match") == "any" else all(hits)
