"""Searching dead queues: what is asked for is handed on in batches, the rest goes back."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from crawl_producer.broker import Broker, Delivery
from crawl_producer.dead_letters import Letter, Wanted
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.topology import Topology

#: Letters that are ended side by side: one window of unconfirmed messages.
BATCH = 500

#: A letter and the delivery that it came as.
Held = tuple[Delivery, Letter]
#: Does something with letters in hand; those that it does not take from their queue go back.
Act = Callable[[DeadQueue, Sequence[Held]], Awaitable[None]]


async def search(
    topology: Topology,
    broker: Broker,
    queues: Iterable[str],
    wanted: Wanted,
    act: Act,
    *,
    limit: int | None = None,
    batch: int = BATCH,
    on_seen: Callable[[DeadQueue, int], None] = lambda _queue, _seen: None,
) -> int:
    """Read the dead letters of some queues, one queue after the other, and act on those that are wanted.

    Args:
        topology: exchanges.yaml.
        broker: where the letters are.
        queues: work queues.
        wanted: which letters.
        act: gets the wanted ones, never those of two queues together.
        limit: stop after so many wanted letters; None: none.
        batch: hand over at most so many at once.
        on_seen: called with the pass and the number of its letters read so far.

    Returns:
        How many letters were wanted.

    Raises:
        BrokerUnreachable: the connection was lost; what was not taken is in its queue.
        TopologyMissing: a dead queue does not exist.
    """
    matched = 0
    for queue in queues:
        # What dies in an inbox is no message of any crawl yet, whatever it says.
        crawl = topology.queues[queue].crawl if queue in topology.queues else ""
        async with DeadQueue(broker, queue) as source:
            held: list[Held] = []
            seen = 0
            async for delivery in source:
                seen += 1
                on_seen(source, seen)
                letter = Letter.of(delivery, queue=queue, crawl=crawl)
                if not wanted.takes(letter):
                    continue
                held.append((delivery, letter))
                matched += 1
                if len(held) == batch:
                    await act(source, held)
                    held = []
                if matched == limit:
                    break
            if held:
                await act(source, held)
        if matched == limit:
            break
    return matched
