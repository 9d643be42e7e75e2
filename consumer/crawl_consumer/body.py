"""The body of an answer, read within the limits of one GET and taken out of its content codings."""

from dataclasses import dataclass

from crawl_consumer.decode import Decoding, TooLong
from crawl_producer.answer import Answer
from crawl_producer.arrival import Arrival, Pace


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may cost.

    Attributes:
        body_bytes: as sent and as decoded; a longer one is none.
        first_bytes: no more of it is wanted, whatever ``body_bytes`` says; None: all.
        pace: the slowest that it may come.
    """

    body_bytes: int
    first_bytes: int | None
    pace: Pace


async def receive(answer: Answer, codings: str, limits: BodyLimits) -> tuple[int, bytes]:
    """How many bytes came, and the body behind its codings.

    Args:
        answer: its header is read, its body is not.
        codings: of its Content-Encoding; empty: none.
        limits: what it may cost.

    Raises:
        TooLong: it is above a limit.
        ValueError: a coding is damaged; the message is the reason.
        TimeoutError, aiohttp.ClientPayloadError: from :class:`Arrival`.
    """
    first_bytes = limits.first_bytes
    limit_bytes = max(limits.body_bytes, first_bytes or 0)
    if first_bytes is None and (answer.content_length or 0) > limit_bytes and not answer.content.at_eof():
        raise TooLong(f"body above {limit_bytes} bytes")
    decoding = Decoding(codings, limit_bytes=limit_bytes, wanted_bytes=first_bytes)
    with Arrival(answer, limits.pace) as arrival:
        while not decoding.has_enough and (data := await arrival.read()):
            decoding.feed(data)
    return decoding.wire_bytes, decoding.body()
