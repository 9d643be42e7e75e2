"""Which publications on one channel are unconfirmed, and what each confirm or return means for them. No I/O.

Rules of the protocol (https://www.rabbitmq.com/docs/confirms): tags count publications on a channel from 1;
an acknowledgement may cover every tag up to its own and may come out of order; a message that no queue wants
is returned first and acknowledged after.
"""

import asyncio
from collections.abc import Iterator

from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishFailed


class Batch:
    """Messages published together, and the future that resolves when the fate of every one is known."""

    __slots__ = ("done", "errors", "size", "unsettled")

    def __init__(self, size: int) -> None:
        self.size = self.unsettled = size
        self.errors: dict[int, Exception] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, error: Exception | None) -> None:
        """One message's fate: confirmed (None), or why not."""
        if error is not None:
            self.errors[place] = error
        self.unsettled -= 1
        if not self.unsettled and not self.done.done():
            self.done.set_result(None)

    def results(self) -> list[PublishFailed | None]:
        """Every message's fate in order. Raises the first error that concerns more than its message."""
        results: list[PublishFailed | None] = [None] * self.size
        for place, error in self.errors.items():
            if not isinstance(error, PublishFailed):
                raise error
            results[place] = error
        return results


class Entry:
    """One message on its way: in line, then in flight, then settled in its batch."""

    __slots__ = ("batch", "message", "place", "returned", "sent_s")

    def __init__(self, message: Outgoing, batch: Batch, place: int) -> None:
        self.message = message
        self.batch = batch
        self.place = place
        self.sent_s = 0.0  #: loop time of sending
        self.returned: str | None = None  #: the broker's words when it returned the message

    def __str__(self) -> str:
        message = self.message
        return f"message {message.message_id!r} for exchange {message.exchange!r}, key {message.routing_key!r}"

    @property
    def unwanted(self) -> bool:
        """Whether its publisher was cancelled, so that it need not be sent."""
        return self.batch.done.done()

    def settle(self, error: Exception | None) -> None:
        """Tell the batch."""
        self.batch.settle(self.place, error)


class Confirms:
    """The unconfirmed publications of one channel."""

    def __init__(self) -> None:
        self._tag = 0
        self._entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def oldest(self) -> Entry | None:
        """The one that was sent first."""
        return next(iter(self), None)

    def sent(self, entry: Entry) -> None:
        """An entry was published: it gets the channel's next tag."""
        self._tag += 1
        self._entries[self._tag] = entry

    def returned(self, exchange: str, routing_key: str, message_id: str | None, words: str) -> bool:
        """A message came back. The oldest that fits is meant: returns keep the order of publication.

        Returns False when none in flight fits.
        """
        returned = (exchange, routing_key, message_id)
        for entry in self:
            message = entry.message
            if entry.returned is None and returned == (
                message.exchange,
                message.routing_key,
                message.message_id,
            ):
                entry.returned = words
                return True
        return False

    def settled(self, tag: int, *, multiple: bool) -> list[Entry]:
        """Remove and return what a confirm covers; a tag of 0 with ``multiple`` covers everything."""
        if not multiple:
            entry = self._entries.pop(tag, None)
            return [] if entry is None else [entry]
        if not tag:
            return self.take_all()
        # Tags were inserted in order, so those that are covered stand in front.
        covered = []
        for waiting in self._entries:
            if waiting > tag:
                break
            covered.append(waiting)
        return [self._entries.pop(waiting) for waiting in covered]

    def take_all(self) -> list[Entry]:
        """Remove and return everything: the channel is gone."""
        entries = list(self._entries.values())
        self._entries.clear()
        return entries
