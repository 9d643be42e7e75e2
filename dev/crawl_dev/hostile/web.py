"""The process that serves the hostile web on a free port of the loopback interface, and ends with its parent.

It says its port on the first line of its output. Everything that costs something to make is made here, so that what
its visitor spends is what visiting costs.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvloop

from crawl_dev.errors import ServersError
from crawl_dev.hostile.hazard import answer
from crawl_dev.hostile.hazards import HAZARDS
from crawl_dev.process import same_modules

#: The folder of pages that are not sent, but made.
MAKE = "make"


@contextmanager
def hostile_web() -> Iterator[str]:
    """Run it; gives its origin.

    Raises:
        ServersError: it did not start.
    """
    command = [sys.executable, "-m", "crawl_dev.hostile.web"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=same_modules(), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                raise ServersError("the hostile web ended before it began")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.kill()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):  # a visitor who leaves in the middle is what this is about
        asked = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        name, _, visit = asked.lstrip("/").partition("?")
        said = HAZARDS[name.removeprefix(f"{MAKE}/")].says(int(visit or 0))
        if name.startswith(f"{MAKE}/"):
            said = answer(b"", status=b"204 No Content")
        if isinstance(said, bytes):
            writer.write(said)
            await writer.drain()
        else:
            await said(writer)
    writer.close()


async def _main() -> None:
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the parent closes it, or is dead


if __name__ == "__main__":
    uvloop.run(_main())
