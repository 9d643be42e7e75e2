"""How a dead letter ends: replayed, when its URL is open and its message confirmed; or dropped for good.

Replaying takes three steps, and after a crash between any two the URL is still a dead letter, or admitted with a
message, or both; a second message is turned away by the ledger.

========================  =======================================================================================
a crash right after       leaves
========================  =======================================================================================
reopen                    an open URL and its letter: the same replay again publishes it
publish and confirm       an open URL, its message, and the letter: again publishes a duplicate, or, when the URL has
                          ended meanwhile, finds that this letter has had its turn, and only takes it away
acknowledge               an open URL and its message
========================  =======================================================================================
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crawl_dedup import Ledger
from crawl_dedup.crash_points import reached
from crawl_producer import names
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.dead_letters import Letter
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.dead_search import Held
from crawl_producer.errors import PublishFailed, Unconfirmed
from crawl_producer.message import UrlMessage

#: The outcome of an open URL whose last message was dropped.
DROPPED = "dropped"


@dataclass(slots=True)
class Ended:
    """What became of the letters.

    Attributes:
        replayed: messages published again, their letters gone.
        already: letters of URLs that another message has brought to an end since: gone too, nothing published.
        dropped: letters gone for good.
        given_up: URLs among those that were still open, and ended as ``dropped``.
        skipped: letters that cannot be replayed, by the reason; they stay.
    """

    replayed: int = 0
    already: int = 0
    dropped: int = 0
    given_up: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, object]:
        """For ``--json``; dataclasses.asdict would count the pairs of a counter."""
        return {name: getattr(self, name) for name in self.__slots__} | {"skipped": dict(self.skipped)}


class End(Protocol):
    """Ends letters of one queue."""

    async def __call__(
        self, held: Sequence[Held], source: DeadQueue, *, broker: Broker, ledger: Ledger, ended: Ended
    ) -> None:
        """End them, as :func:`replay` and :func:`drop` do."""


async def replay(held: Sequence[Held], source: DeadQueue, *, broker: Broker, ledger: Ledger, ended: Ended) -> None:
    """Replay some letters of one queue, side by side.

    Args:
        held: letters in hand from ``source``.
        source: their pass.
        broker: publishes.
        ledger: of their crawl and group.
        ended: counts what is done, also when this raises.

    Raises:
        PublishFailed: a message is not known to be in a queue; its letter stays, those of the others are gone.
        TopologyMissing: there is no queue to publish to; every letter stays.
        LedgerUnavailable: nothing was published; every letter stays.
    """
    # crawl.redeliver has an alternate exchange: a queue that is gone would be confirmed too, in crawl.unrouted.
    await broker.depth(names.due_queue(source.queue))
    reached("letters.held")
    ended.skipped.update(letter.unreadable for _, letter in held if letter.message is None)
    readable = [(delivery, letter.message, letter) for delivery, letter in held if letter.message is not None]
    opened = await asyncio.gather(
        *(_reopened(ledger, source.queue, message, letter) for _, message, letter in readable)
    )
    reached("reopened")
    fates = iter(await _published(broker, [message for message in opened if message is not None]))
    reached("replay.confirmed")
    failures: list[PublishFailed] = []
    for (delivery, _, _), message in zip(readable, opened, strict=True):
        if message is not None and (failure := next(fates)) is not None:
            failures.append(failure)
            continue
        source.take(delivery)
        if message is None:
            ended.already += 1
        else:
            ended.replayed += 1
    if failures:
        raise failures[0]


async def drop(held: Sequence[Held], source: DeadQueue, *, broker: Broker, ledger: Ledger, ended: Ended) -> None:  # noqa: ARG001 - an End
    """Drop some letters of one queue.

    A URL that is open although this letter was its last message ends as ``dropped``, so that its crawl can complete:
    one that the broker has buried, or one whose replay from this letter was broken off.

    Raises:
        LedgerUnavailable: every letter stays.
    """
    readable = [letter for _, letter in held if letter.message is not None]
    given_up = await asyncio.gather(
        *(
            ledger.give_up(ledger.fingerprint(letter.url), DROPPED, letter=letter.identity if letter.outcome else "")
            for letter in readable
        )
    )
    reached("given_up")
    ended.given_up += sum(given_up)
    for delivery, _ in held:
        source.take(delivery)
        ended.dropped += 1


async def _published(broker: Broker, messages: Sequence[Outgoing]) -> list[PublishFailed | None]:
    """The fate of each message; what got no confirm is published once more, as the connection may only have changed."""
    fates = await broker.publish_all(messages)
    again = [place for place, fate in enumerate(fates) if isinstance(fate, Unconfirmed)]
    for place, fate in zip(again, await broker.publish_all([messages[place] for place in again]), strict=True):
        fates[place] = fate
    return fates


async def _reopened(ledger: Ledger, queue: str, message: UrlMessage, letter: Letter) -> Outgoing | None:
    """The message of a URL that is open now, as it began, to the companion that consumers read first; or None."""
    url = ledger.fingerprint(message.url)
    if not await ledger.reopen(url, outcome=letter.outcome, letter=letter.identity):
        return None
    fresh = message.model_copy(update={"attempt": 0, "not_before_ms": None, "reason": None, "status": None})
    return Outgoing(names.REDELIVER, queue, fresh.encode(), message_id=url, sealed=True)
