"""One pass over a dead queue: every letter once, and none taken away that is not settled.

AMQP has no cursor: a letter that is given back comes first again, and hides those behind it. So all letters that were
read stay in hand, unacknowledged, until the pass is over. That costs RabbitMQ about a hundred bytes each; this process
keeps only those that nobody has looked at yet. However it ends, ``kill -9`` included, RabbitMQ gives every letter back
to the queue that was not acknowledged.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Self

from crawl_dedup.crash_points import reached
from crawl_producer import names
from crawl_producer.broker import Broker, Delivery, QueueDepth, Subscription
from crawl_producer.errors import BrokerUnreachable

log = logging.getLogger(__name__)

#: Letters in hand to a channel: what RabbitMQ caps a quorum queue's prefetch at (its quorum queue guide). When all
#: are in hand and more are to come, another channel brings the next ones.
WINDOW = 2000
#: Silence after which the queue is asked whether anything is left: others may have taken what we still expect.
QUIET_S = 0.5
#: How long a pass waits for RabbitMQ to put back what was read: at its end what it has read itself, so that the next
#: look sees it; at its beginning what a reader had that is gone.
RETURN_S = 5.0
_LOOK_S = 0.02


class DeadQueue:
    """A pass; ``async with`` it, iterate once, and :meth:`take` what is to go.

    Letters that die meanwhile are behind those that were there at the start, and are not read. Letters that another
    pass has in hand are not there for this one.

    Args:
        broker: gives the letters.
        queue: the work queue whose dead letters are read.
        window: letters in hand to a channel.
        return_s: how long to wait for letters that are on their way back.

    Attributes:
        expected: letters in the queue at the start; fewer, once it is known that others have taken some.
        taken: letters settled for good.
    """

    def __init__(self, broker: Broker, queue: str, *, window: int = WINDOW, return_s: float = RETURN_S) -> None:
        self.queue = queue
        self.expected = 0
        self.taken = 0
        self._broker = broker
        self._window = window
        self._return_s = return_s
        self._name = names.dead_queue(queue)
        self._arrived = asyncio.Event()
        self._unread: deque[Delivery] = deque()
        self._in_hand = 0
        self._windows: list[Subscription] = []
        self._firsts: dict[int, Delivery] = {}

    def __repr__(self) -> str:
        return f"<DeadQueue {self._name}: {self.expected} expected, {self._in_hand} in hand, {self.taken} taken>"

    async def __aenter__(self) -> Self:
        # A reader that was killed a moment ago still counts as one, and its letters are not back yet.
        depth = await self._depth_when(lambda depth: depth.consumers == 0)
        self.expected = depth.ready
        if depth.consumers:
            log.warning("somebody else reads %s too; the letters in his hands are not seen here", self._name)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        for window in self._windows:
            await window.close()
        if kind is None:
            await self._depth_when(lambda depth: depth.ready >= self.expected - self.taken)

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        """The letters, oldest first; but what two channels have given back may have changed places.

        Raises:
            BrokerUnreachable: the connection was lost; everything in hand is in the queue again.
            TopologyMissing: the queue does not exist.
        """
        for seen in range(self.expected):
            delivery = await self._next()
            if delivery is None:
                self.expected = seen
                return
            yield delivery

    def take(self, delivery: Delivery) -> None:
        """Settle a letter for good: its successor is safe, or nobody wants it any more."""
        if delivery.ack():
            self.taken += 1
        self._in_hand -= 1
        reached("letter.taken")

    async def _next(self) -> Delivery | None:
        """The next letter; None when the queue is empty before its time."""
        silences = 0
        while not self._unread:
            if self._in_hand >= len(self._windows) * self._window:
                await self._open_window()
            elif not await self._something_arrives():
                # Asked twice: what the queue has handed out may still be on its way to us.
                silences += (await self._broker.depth(self._name)).ready == 0
                if silences == 2:
                    return None
            _check(self._firsts.values(), self._name)
        delivery = self._unread.popleft()
        _check((delivery,), self._name)
        return delivery

    async def _open_window(self) -> None:
        deliver = partial(self._deliver, len(self._windows))
        self._windows.append(await self._broker.consume(self._name, prefetch=self._window, deliver=deliver))

    def _deliver(self, window: int, delivery: Delivery) -> None:
        self._firsts.setdefault(window, delivery)
        self._in_hand += 1
        self._unread.append(delivery)
        self._arrived.set()

    async def _something_arrives(self) -> bool:
        self._arrived.clear()
        try:
            async with asyncio.timeout(QUIET_S):
                return await self._arrived.wait()
        except TimeoutError:
            return False

    async def _depth_when(self, good: Callable[[QueueDepth], bool]) -> QueueDepth:
        """The queue's depth when it is as it should be, or as it is after ``return_s``."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._return_s
        # A queue tells nobody that it has changed.
        while not good(depth := await self._broker.depth(self._name)) and loop.time() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        return depth


def _check(deliveries: Iterable[Delivery], queue: str) -> None:
    """A lost channel gives back what was read, and its successor would bring it a second time."""
    if any(delivery.stale for delivery in deliveries):
        raise BrokerUnreachable(
            f"the connection was lost while {queue} was read",
            remedy="nothing is lost: every letter that is not settled is back in the queue; run it again",
        )
