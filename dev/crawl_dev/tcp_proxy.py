"""A TCP proxy in front of one server, which can hold back what is said, cut connections, or be away."""

import asyncio
import ssl
from contextlib import suppress
from typing import Self

from crawl_dev.ports import LOOPBACK

#: Bytes passed on at a time.
_CHUNK_BYTES = 65_536


class TcpProxy:
    """``async with TcpProxy(port) as proxy``: whoever connects to ``proxy.port`` talks to ``port``.

    Args:
        target_port: where the server listens, on loopback.
        tls: with an SSL context it speaks TLS to whoever connects.

    Attributes:
        port: where it listens, from its first coming on.
        accepted: connections that have come so far.
        ended: those that have ended.
    """

    def __init__(self, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target_port = target_port
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers_flow = asyncio.Event()
        self._questions_flow = asyncio.Event()
        self._changed = asyncio.Condition()
        self._torn_after_bytes: int | None = None
        self.port = 0
        self.accepted = 0
        self.ended = 0
        self.release()

    async def __aenter__(self) -> Self:
        await self.come()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def come(self) -> None:
        """Listen, on the same port as before."""
        self._listener = await asyncio.start_server(self._serve, LOOPBACK, self.port, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def go(self) -> None:
        """Refuse connections from now on, and cut those that are there."""
        if self._listener is not None:
            self._listener.close()
            self.cut()
            await self._listener.wait_closed()

    def abandon(self) -> None:
        """Close it without waiting, and let go of every connection."""
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        self.cut()

    def hold(self) -> None:
        """Hold back what the server says."""
        self._answers_flow.clear()

    def swallow(self) -> None:
        """Hold back what either side says: connections stay open and are silent, as behind a broken switch."""
        self._answers_flow.clear()
        self._questions_flow.clear()

    def release(self) -> None:
        """Pass it on."""
        self._answers_flow.set()
        self._questions_flow.set()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for writer in list(self._pairs):
            writer.transport.abort()

    def tear(self, after_bytes: int) -> None:
        """Let so many bytes of the next answers through, on all connections together, then reset all."""
        self._torn_after_bytes = after_bytes

    async def until(self, accepted: int = 0, ended: int = 0) -> None:
        """Wait until so many connections have come, and so many have ended, since the beginning."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.accepted >= accepted and self.ended >= ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
        await self._count(accepted=1)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target_port)
            self._pairs |= {writer, far_writer}
            back = asyncio.create_task(self._pipe(far_reader, writer, self._answers_flow, answers=True))
            self._tasks.add(back)
            await self._pipe(reader, far_writer, self._questions_flow)
            writer.transport.abort()
            self._pairs -= {writer, far_writer}
        await self._count(ended=1)

    async def _count(self, accepted: int = 0, ended: int = 0) -> None:
        async with self._changed:
            self.accepted += accepted
            self.ended += ended
            self._changed.notify_all()

    async def _pipe(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flows: asyncio.Event,
        *,
        answers: bool = False,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await flows.wait()
                if answers and self._torn_after_bytes is not None:
                    await self._tear(writer, data)
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def _tear(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        passed = data[: self._torn_after_bytes]
        self._torn_after_bytes = (self._torn_after_bytes or 0) - len(passed)
        writer.write(passed)
        await writer.drain()
        if len(passed) < len(data):
            self._torn_after_bytes = None
            self.cut()
