"""The body of an answer, read within the limits of one GET and taken out of its content codings."""

from crawl_consumer.decode import Decoding, TooLong
from crawl_producer.answer import Answer
from crawl_producer.arrival import Arrival, Pace


async def receive(
    answer: Answer, codings: str, *, limit_bytes: int, first_bytes: int | None, pace: Pace
) -> tuple[int, bytes]:
    """How many bytes came, and the body behind its codings.

    Args:
        answer: its header is read, its body is not.
        codings: of its Content-Encoding; empty: none.
        limit_bytes: of the body, as sent and as decoded; a longer one is none.
        first_bytes: no more of it is wanted, whatever the limit says; None: all.
        pace: the slowest that it may come.

    Raises:
        TooLong: it is above a limit.
        ValueError: a coding is damaged; the message is the reason.
        TimeoutError, aiohttp.ClientPayloadError: from :class:`Arrival`.
    """
    length = answer.content_length
    if first_bytes is None and (length or 0) > limit_bytes and not answer.content.at_eof():
        raise TooLong(f"body above {limit_bytes} bytes")
    if length is not None and not codings and first_bytes is None and answer.content.is_eof():
        whole = answer.content.read_nowait()  # like most pages that are not compressed
        return len(whole), whole
    decoding = Decoding(codings, limit_bytes=max(limit_bytes, first_bytes or 0), wanted_bytes=first_bytes)
    with Arrival(answer, pace) as arrival:
        while not decoding.has_enough and (data := await arrival.read()):
            decoding.feed(data)
    return decoding.wire_bytes, decoding.body()
