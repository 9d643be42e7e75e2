"""A small world with dead letters, on the in-memory broker and ledger."""

from crawl_dedup import Commit, LedgerName, MemoryLedger, MemoryLedgerStore
from crawl_producer.broker import Outgoing
from crawl_producer.dead_letters import Wanted
from crawl_producer.dead_search import search
from crawl_producer.derive import declarations
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}, "y": {"type": "fanout"}},
        "queues": {
            "q": {"crawl": "c", "bindings": [{"exchange": "x", "key": "k"}]},
            "m.a": {"crawl": "m", "group": "a", "bindings": [{"exchange": "y"}]},
            "m.b": {"crawl": "m", "group": "b", "bindings": [{"exchange": "y"}]},
        },
        "crawls": {"c": {"exchange": "x", "key": "k"}, "m": {"exchange": "y"}},
    }
)


def url(n):
    return f"https://site{n % 3}.example/{n}"


def body(n, **fields):
    return UrlMessage(crawl="c", url=url(n), **fields).encode()


def headers(n, **changes):
    """What a consumer writes on its dead letters; the n-th letter died at n seconds."""
    known = {
        "crawl-reason": "timeout: 30 s", "crawl-outcome": "failed_timeout", "crawl-queue": "q",
        "crawl-attempts": 4, "crawl-status": 0, "crawl-first-seen-ms": 1, "crawl-died-ms": 1000 * (n + 1),
    }  # fmt: skip
    return known | {f"crawl-{name.replace('_', '-')}": value for name, value in changes.items()}


def letter(n, **changes):
    return Outgoing("crawl.dead", "q", body(n, attempt=3, reason="timeout"), f"id-{n}", headers(n, **changes))


class DeadWorld:
    """A broker and a ledger; clients come and go."""

    def __init__(self):
        self.broker = MemoryBroker()
        self.server = self.broker.server
        self.store = MemoryLedgerStore(hash_key=b"k")

    async def __aenter__(self):
        await self.broker.__aenter__()
        await apply(await plan(declarations(TOPOLOGY), self.broker), self.broker)
        return self

    async def __aexit__(self, *exc):
        await self.broker.__aexit__(*exc)

    def ledger(self, consumer="dead", name=LedgerName("c")):  # noqa: B008 - frozen
        return MemoryLedger(self.store, name, consumer)

    async def die(self, *numbers):
        """URLs that were admitted, failed, and lie in dead.q."""
        ledger = self.ledger("consumer")
        for n in numbers:
            await ledger.commit(Commit(ledger.fingerprint(url(n)), "failed_timeout"))
        await self.broker.publish_all([letter(n) for n in numbers])

    async def letters(self, queue="q"):
        """The letters in the queue as anybody may find them now, by number, without touching them."""
        ids = [stored.message_id for stored in self.server.queue(f"dead.{queue}").ready]
        return sorted(ids, key=lambda message_id: int(message_id.removeprefix("id-")))

    def messages(self, queue="q.due"):
        return [UrlMessage.decode(stored.body) for stored in self.server.queue(queue).ready]

    async def search(self, act, *, broker=None, queues=("q",), wanted=None, **options):
        async with broker or MemoryBroker(self.server) as client:
            return await search(TOPOLOGY, client, queues, wanted or Wanted(), act, **options)

    async def books(self):
        progress = await self.ledger("reader").progress()
        return progress.open, progress.outcomes
