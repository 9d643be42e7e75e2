"""The body of an answer, read within a limit and taken out of its content codings."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from crawl_consumer.decode import decode


async def receive(
    answer: aiohttp.ClientResponse, codings: str | None, limit_bytes: int, first_bytes: int | None
) -> tuple[int, bytes | None]:
    """How many bytes came, and the body behind its codings; None: it is above the limit.

    Args:
        answer: its header is read, its body is not.
        codings: of its Content-Encoding.
        limit_bytes: of the body, as sent and as decoded.
        first_bytes: no more of it is wanted; None: all.

    Raises:
        ValueError: a coding is damaged; from :func:`decode`.
    """
    wanted = limit_bytes if first_bytes is None else min(first_bytes, limit_bytes)
    if first_bytes is None and (answer.content_length or 0) > limit_bytes and not answer.content.at_eof():
        return 0, None
    with _ending_with_connection(answer):
        wire = await _read_at_most(answer.content, limit_bytes if codings else wanted)
    if codings and len(wire) > limit_bytes:
        return len(wire), None
    body = decode(wire, codings, limit_bytes=wanted) if codings else wire
    if first_bytes is None and len(body) > limit_bytes:
        return len(wire), None
    return len(wire), body[:wanted]


@contextmanager
def _ending_with_connection(answer: aiohttp.ClientResponse) -> Iterator[None]:
    """Let the body fail when its connection is closed.

    aiohttp (3.14) closes the connection at a broken chunk and tells the body nothing, which would wait for more
    until all its time is up.
    """
    protocol = answer.connection.protocol if answer.connection else None
    closed = protocol.closed if protocol is not None else None
    if closed is None or answer.content_length is not None:
        yield
        return

    def fail(_: asyncio.Future[None]) -> None:
        if not answer.content.is_eof():
            answer.content.set_exception(aiohttp.ClientPayloadError("the body's framing is broken"))

    closed.remove_done_callback(_heard)  # of an earlier body on this connection
    closed.add_done_callback(_heard)
    closed.add_done_callback(fail)
    try:
        yield
    finally:
        closed.remove_done_callback(fail)


def _heard(closed: asyncio.Future[None]) -> None:
    """Keep asyncio from reporting the end of a connection that nobody used any more."""
    if not closed.cancelled():
        closed.exception()


async def _read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The body, or as soon as it is longer than ``limit`` what came of it."""
    chunks, size = [], 0
    while size <= limit and (chunk := await content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
