"""An answer that is not put off for ever by interim ones, and that knows how its connection ended."""

import asyncio

import aiohttp
from aiohttp import http

#: Interim answers (1xx) to one request (RFC 9110, 15.2); honest servers send one or two. aiohttp (3.14) reads them for
#: as long as the request may take, and does nothing else meanwhile.
MAX_INTERIM = 20


class Answer(aiohttp.ClientResponse):
    """For ``response_class`` of a session."""

    #: Done when the connection ends, with the error if it was one; None: it had ended before it was asked.
    connection_end: asyncio.Future[None] | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Read up to the final answer's header.

        Raises:
            aiohttp.ClientResponseError: there are more than :data:`MAX_INTERIM` others before it.
        """
        protocol = connection.protocol
        assert protocol is not None
        if (end := protocol.closed) is not None:
            end.remove_done_callback(_heard)  # of an earlier answer on this connection
            end.add_done_callback(_heard)
            self.connection_end = end
        read, heads = protocol.read, 0

        async def counted() -> tuple[http.RawResponseMessage, aiohttp.StreamReader]:
            nonlocal heads
            heads += 1
            if heads > MAX_INTERIM + 1:
                raise http.HttpProcessingError(code=400, message=f"more than {MAX_INTERIM} interim answers")
            return await read()

        protocol.read = counted  # type: ignore[method-assign]  # it is asked for each of them
        try:
            return await super().start(connection)
        finally:
            del protocol.read

    @property
    def was_broken_off(self) -> bool:
        """Whether the connection has ended with an error."""
        end = self.connection_end
        return end is not None and end.done() and not end.cancelled() and end.exception() is not None


def _heard(end: asyncio.Future[None]) -> None:
    """Keep asyncio from reporting the end of a connection that nobody used any more."""
    if not end.cancelled():
        end.exception()
