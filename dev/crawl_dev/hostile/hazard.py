"""One page of the hostile web: what it does to its visitor, and what must come of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from crawl_consumer.fetch import FetchLimits
from crawl_producer.arrival import Pace

#: What ships.
DEFAULT = FetchLimits()
#: For hazards that end only by waiting: a crawl waits longer, for the same reasons.
BY_PACE = FetchLimits(pace=Pace(after_s=1))
BY_IDLE = FetchLimits(idle_s=1)
BY_TOTAL = FetchLimits(total_s=2)

#: Says something that has no end, or not all at once; the connection is closed when it returns.
Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Hazard:
    """A page.

    Attributes:
        name: also its path.
        outcome: how a crawl counts it.
        says: makes the bytes that answer the visit of this number, or a talk.
        why: a part of the failure's detail, where there is one.
        limits: of the visit.
        links: that the page has at least.
        or_else: another outcome that is as good, where what comes first decides, or how fast the machine is.
    """

    name: str
    outcome: str
    says: Callable[[int], bytes | Talk]
    why: str = ""
    limits: FetchLimits = DEFAULT
    links: int = 0
    or_else: str = ""

    @property
    def is_slow(self) -> bool:
        """Whether it ends only by waiting, and costs nothing else."""
        return self.limits is not DEFAULT


def always(said: bytes | Talk) -> Callable[[int], bytes | Talk]:
    """The same to every visitor."""
    return lambda _: said


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK", kind: bytes = b"text/html") -> bytes:
    """A proper answer, as far as its fields are."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def head(*fields: bytes) -> bytes:
    """The header of an answer that says how its body comes, up to the empty line."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Type: text/html", *fields]) + b"\r\n\r\n"


def endless(first: bytes, again: bytes) -> Talk:
    """``first``, and then ``again`` as often as the other side takes it."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(again)
            await writer.drain()

    return talk


def dripping(first: bytes, drop: bytes, every_s: float = 0.05) -> Talk:
    """``first``, and then a drop now and then."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every_s)

    return talk
