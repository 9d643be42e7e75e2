"""When an operator looks: nothing has moved for a while, and the crawl is not complete."""

from collections.abc import AsyncIterator

from crawl_dev.chaos.world import LOOK_S, World

#: No URL ends for so long: 4 s, longer than any page of a site takes, and than the leases of what is in hand.
_QUIET_LOOKS = 40


async def standstills(world: World) -> AsyncIterator[None]:
    """One item each time that no URL has ended for a while, until the crawl is complete."""
    quiet, done = 0, -1
    while await world.pause(LOOK_S):
        now = world.samples[-1].done
        quiet = quiet + 1 if now == done else 0
        done = now
        if quiet >= _QUIET_LOOKS:
            yield
            quiet = 0
