"""Readmission: what a ledger had admitted and does not know any more goes through the door of admission again.

That takes two accidents: Redis has lost its last second, the admission in it, and the queue that had the message was
purged or deleted. Where a URL's page is fetched again its links come again too; but seeds have no page, and a page may
have changed. Then the copy in the journal is all that is left.

Nothing is published before it is admitted, so a copy that is younger than the ledger is of a URL that this ledger had
admitted, and only a rollback can have undone that. (Or another group found it, or somebody published it by hand, and
its message waits for its first consumer: then it gets one copy more, which is turned away.) If the URL had ended
meanwhile, it is fetched a second time, as is whatever ended in the second that is gone.

A copy that is older than the ledger says nothing. Its crawl was forgotten since, on purpose, or Redis was emptied, and
a repair must not bring back what a journal, which cannot be purged, still has. The two are told apart by the time at
which the copy's URL was admitted and the one in the ledger's mark of birth. Where the clocks of two machines disagree,
what was admitted in the first moments of a crawl may count as older, and stays where it is; nobody else's URL is
touched. Whoever forgets the crawl while this runs gives it another mark, in the first step; the commit relies on the
mark that was read before the question, and is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from crawl_dedup import Ledger, LedgerForgot, Standing, born_ms
from crawl_producer.admission import Admission, Limits, Work
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.errand import Way
from crawl_producer.errors import Unroutable
from crawl_producer.routing import Router


@dataclass(frozen=True, slots=True)
class Found:
    """A URL that a source names.

    Attributes:
        url: canonical; empty without a message.
        message: what to publish for it; None: this is no URL of this crawl.
        admitted_ms: Unix time of its admission, if the source proves that there was one; else 0.
        groups: those that the message reaches; None: all. No other one can have lost its URL, or would ever get it.
    """

    url: str
    message: Outgoing | None
    admitted_ms: int = 0
    groups: frozenset[str] | None = None

    def may_be_lost_to(self, ledger: Ledger, since_ms: int) -> bool:
        """Whether a ledger that was begun then and does not know this URL must have admitted it once."""
        return self.admitted_ms >= since_ms and (self.groups is None or ledger.name.group in self.groups)


@dataclass(frozen=True, slots=True)
class Memory:
    """A ledger as it was when it was asked.

    Attributes:
        ledger: which.
        born: its mark of birth, read before the question.
        standings: how each URL stands; UNKNOWN is only what it had admitted, and what it never knew is as good as DONE.
    """

    ledger: Ledger
    born: str
    standings: Mapping[str, Standing]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A link whose message is there already."""

    url: str
    body: bytes
    way: Way | None

    def encode(self) -> bytes:
        return self.body


class _SameWay(Router):
    """Each URL goes where its copy went."""

    def __init__(self, messages: Mapping[str, Outgoing]) -> None:
        self._messages = messages

    def routes(self, url: str, *, seed: bool) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - a Router
        message = self._messages[url]
        return ((message.exchange, message.routing_key),)


async def ask(ledger: Ledger, copies: Mapping[str, Found]) -> Memory:
    """How these URLs stand in one ledger."""
    born = ledger.born
    words = await ledger.standing([ledger.fingerprint(url) for url in copies])
    since_ms = born_ms(born)
    return Memory(
        ledger,
        born,
        {
            url: Standing.DONE if word is Standing.UNKNOWN and not copy.may_be_lost_to(ledger, since_ms) else word
            for (url, copy), word in zip(copies.items(), words, strict=True)
        },
    )


async def readmit(memory: Memory, messages: Mapping[str, Outgoing], broker: Broker, *, limits: Limits) -> int | None:
    """Admit URLs anew, and return how many of them are admitted and have a message.

    The batch has a synthetic parent made from its URLs, as a batch of seeds has, so that a repair which is killed and
    run again loses and doubles nothing.

    Args:
        memory: where they are UNKNOWN.
        messages: what is published for each.
        broker: where to; a full queue is waited for.
        limits: admit no URL beyond them.

    Returns:
        None: some are taken by no queue; those stay in the ledger's outbox.

    Raises:
        BrokerUnreachable, LedgerUnavailable: run it again.
    """
    door = Admission([memory.ledger], broker, _SameWay(messages), limits=limits, refused_tries=None)
    links = [
        _Copy(url, message.body, None if message.priority is None else (None, message.priority))
        for url, message in messages.items()
    ]
    parent = memory.ledger.seed_parent("\n".join(messages).encode())
    try:
        admitted = await door.admit(Work(parent, "seeded", links, relies_on=memory.born), seed=True)
    except LedgerForgot:
        return 0
    except Unroutable:
        return None
    return admitted.admitted + admitted.resumed
