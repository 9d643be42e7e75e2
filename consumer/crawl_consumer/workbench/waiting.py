"""What a broker in memory still holds: URLs that wait, and for how long, and those that failed for good."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crawl_dedup import MemoryRobotsStore
from crawl_producer import names
from crawl_producer.memory_server import MemoryServer
from crawl_producer.message import UrlMessage


@dataclass(frozen=True, slots=True)
class Waiting:
    """URLs of which none can be fetched now.

    Attributes:
        urls: how many.
        next_s: after so many seconds the first of them can be.
    """

    urls: int
    next_s: float


def waiting(server: MemoryServer, queues: Sequence[str]) -> Waiting | None:
    """What the delays hold; None: nothing, or one of the work queues has something to fetch now."""
    if any(server.queue(name).ready for queue in queues for name in (queue, names.due_queue(queue))):
        return None
    held = [stored for delay_ms in names.DELAYS_MS for stored in server.queue(names.delay_queue(delay_ms)).ready]
    if not held:
        return None
    return Waiting(len(held), min(UrlMessage.decode(stored.body).early_ms() for stored in held) / 1000)


def dead_letters(server: MemoryServer, queues: Sequence[str]) -> Iterator[tuple[str, str]]:
    """URL and reason of each dead letter."""
    for queue in queues:
        for stored in server.queue(names.dead_queue(queue)).ready:
            yield UrlMessage.decode(stored.body).url, str(stored.headers["crawl-reason"])


def unreachable_robots(store: MemoryRobotsStore) -> Iterator[str]:
    """A line for each origin whose robots.txt cannot be had."""
    for origin, (record, until_s) in store.records.items():
        if record.body is None and until_s > store.clock():
            yield f"{origin}/robots.txt: {record.reason}"
