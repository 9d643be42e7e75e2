"""A server that only pretends to be Redis or a Sentinel: it answers by a list, whatever it is asked."""

import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def pretender(answers):
    """A server on loopback that gives these answers to what it is asked, one after the other, then falls silent."""
    serving = set()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        for answer in answers:
            if not await reader.read(4096):
                break
            writer.write(answer)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        await asyncio.gather(*serving)
