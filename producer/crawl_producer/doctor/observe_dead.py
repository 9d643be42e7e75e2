"""Looking through dead letters for URLs that are still open: a letter is all the message that such a URL has.

Neither their number nor their headers tell: a queue of dead letters also has those of URLs that have ended, what is no
message at all, and letters whose replay was broken off after their URL was reopened. So each one is read, as
``crawl-dead list`` does, and the ledger is asked. Reading takes nothing away.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from crawl_dedup import Fingerprint, Ledger, Standing
from crawl_producer import names
from crawl_producer.broker import Broker
from crawl_producer.dead_letters import Wanted
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.dead_search import Held, search
from crawl_producer.doctor.facts import DeadFacts, QueueFacts
from crawl_producer.topology import Topology

#: Letters of one queue that are read, oldest first: a second or two, and a hundred bytes of RabbitMQ's memory for each.
MOST_READ = 20_000


async def observe(
    topology: Topology,
    queues: Iterable[str],
    before: Mapping[str, QueueFacts],
    broker: Broker,
    ledger_of: Callable[[str], Awaitable[Ledger]],
    *,
    limit: int | None = MOST_READ,
) -> Mapping[str, DeadFacts]:
    """What their dead letters are.

    Args:
        topology: exchanges.yaml.
        queues: work queues whose dead letters are there.
        before: all queues, looked at before; letters that another reader has in hand count as not read.
        broker: where they are.
        ledger_of: the ledger of a queue's crawl and group.
        limit: letters of each queue to read; None: all.

    Raises:
        BrokerUnreachable, LedgerUnavailable: they could not be read.
    """
    found = {}
    for queue in queues:
        look = _Look(await ledger_of(queue))
        await search(topology, broker, [queue], Wanted(), look, limit=limit)
        dead = before[names.dead_queue(queue)]
        in_hand = dead.unacked or 0 if dead.consumers else 0
        found[queue] = DeadFacts(len(look.open), max(0, dead.ready + in_hand - look.read))
    return found


class _Look:
    """What was read of one queue: the number of letters, and the open URLs among them."""

    def __init__(self, ledger: Ledger) -> None:
        self.read = 0
        self.open: set[Fingerprint] = set()
        self._ledger = ledger

    async def __call__(self, source: DeadQueue, held: Sequence[Held]) -> None:  # noqa: ARG002 - an Act
        self.read += len(held)
        urls = [self._ledger.fingerprint(letter.url) for _, letter in held if letter.message is not None]
        standings = await self._ledger.standing(urls) if urls else ()
        self.open.update(u for u, s in zip(urls, standings, strict=True) if s in (Standing.FREE, Standing.HELD))
