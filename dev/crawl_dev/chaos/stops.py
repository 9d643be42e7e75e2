"""Frozen consumers: SIGSTOP beyond the broker's heartbeat and their lease's, then SIGCONT, and the zombies go on."""

import asyncio
import signal
import time

from crawl_dev.chaos.consumers import Life
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.world import World

#: Beyond the 15 s after which a consumer's leases are void, and the 10 to 15 s after which RabbitMQ gives up a
#: connection whose heartbeat is 5 s.
_FROZEN_S = 18.0
#: Frozen at once: the others must go on.
_AT_ONCE = 2
#: An awakened consumer may begin what it had been handed before it has heard that the connection is gone.
_DROWSY_S = 2.0


async def freeze_consumers(world: World, times: int) -> None:
    """Freeze some consumers at a time, until others have their leases and their deliveries, and thaw them."""
    for _ in range(0, times, _AT_ONCE):
        if not await world.at_work():
            return
        victims = world.rng.sample(world.consumers.alive, _AT_ONCE)
        start_s = time.monotonic()
        try:
            for life in victims:
                life.process.send_signal(signal.SIGSTOP)
            # To the end, even if the others complete the crawl meanwhile: a zombie must not harm what is complete.
            await asyncio.sleep(_FROZEN_S)
        finally:
            for life in victims:
                life.process.send_signal(signal.SIGCONT)
                world.note(_frozen(life, start_s, world.consumers.crowd.concurrency))


def _frozen(life: Life, start_s: float, concurrency: int) -> Fault:
    """What it had begun is fetched by others; what it begins before it knows better, too."""
    return Fault(
        "freeze",
        start_s,
        time.monotonic(),
        frozenset({life.name}),
        at_most=2 * concurrency,
        after_s=_DROWSY_S,
        survived=True,
        doubled=True,
    )
