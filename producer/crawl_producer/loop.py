"""The event loop that commands run on: uvloop's where there is one, which here takes no threads for addresses."""

import asyncio
import contextlib
from collections.abc import Callable
from socket import SOCK_STREAM
from typing import Any

#: What makes the loop; None: asyncio's own, which does the same, only slower.
new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

# Neither on Windows nor on every Python.
with contextlib.suppress(ImportError):
    import uvloop

    class _Loop(uvloop.Loop):
        """Looks an address up without a thread, also where nobody says what kind of socket it is for.

        ``sock_connect`` does not say it, and uvloop then takes its threads even for 127.0.0.1. From a process's first
        thread on glibc's malloc(3) locks for nearly every chunk that it gives and takes back, also when the threads
        have ended: 17 ns for each of the 10,000 chunks of a page's tree, 6 % of the page's CPU.
        """

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            return await super().getaddrinfo(host, port, **options | {"type": options.get("type") or SOCK_STREAM})

    new_loop = _Loop
