"""A TCP proxy in front of one server, which can hold back what the server says, cut connections, or be away."""

import asyncio
from contextlib import suppress


class TcpProxy:
    """``async with TcpProxy(port) as proxy``: whoever connects to ``proxy.port`` talks to ``port``.

    With an SSL context as ``tls`` it speaks TLS to whoever connects.
    """

    def __init__(self, target_port, tls=None):
        self._target_port = target_port
        self._tls = tls
        self._listener = None
        self._pairs = set()
        self._tasks = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._changed = asyncio.Condition()
        self.port = 0
        self.accepted = 0
        self.ended = 0

    async def __aenter__(self):
        await self.come()
        return self

    async def __aexit__(self, *exc):
        await self.go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def come(self):
        """Listen, on the same port as before."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def go(self):
        """Refuse connections from now on, and cut those that are there."""
        self._listener.close()
        self.cut()
        await self._listener.wait_closed()

    def hold(self):
        """Hold back what the server says."""
        self._flows.clear()

    def release(self):
        """Pass it on."""
        self._flows.set()

    def cut(self):
        """Reset every connection, on both sides."""
        for writer in list(self._pairs):
            writer.transport.abort()

    async def until(self, accepted=0, ended=0):
        """Wait until so many connections have come, and so many have ended, since the beginning."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.accepted >= accepted and self.ended >= ended)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        await self._count(accepted=1)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._pairs |= {writer, far_writer}
            back = asyncio.create_task(self._pipe(far_reader, writer, held=True))
            self._tasks.add(back)
            await self._pipe(reader, far_writer, held=False)
            writer.transport.abort()
            self._pairs -= {writer, far_writer}
        await self._count(ended=1)

    async def _count(self, accepted=0, ended=0):
        async with self._changed:
            self.accepted += accepted
            self.ended += ended
            self._changed.notify_all()

    async def _pipe(self, reader, writer, *, held):
        with suppress(OSError):
            while data := await reader.read(65536):
                if held:
                    await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
