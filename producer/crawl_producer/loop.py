"""The event loop that commands run on: uvloop's where there is one, which here takes no threads for addresses."""

import asyncio
import contextlib
from collections.abc import Callable
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Any


def is_address(host: object) -> bool:
    """Whether it is an address all by itself: the zone of a link-local one (``%eth0``) has to be looked up."""
    if not isinstance(host, str) or "%" in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


#: What makes the loop; None: asyncio's own, which does the same, only slower.
new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

# Neither on Windows nor on every Python.
with contextlib.suppress(ImportError):
    import uvloop

    class _Loop(uvloop.Loop):
        """Knows addresses without a look-up, and so without a thread, also where ``sock_connect`` asks.

        That says the family and not the type of its socket, and uvloop then hands even 127.0.0.1 to its threads. From a
        process's first thread on glibc's malloc(3) locks for nearly every chunk that it gives or takes back: 17 ns for
        each of the 10,000 chunks of a page's tree, 6 % of the page's CPU. It goes on when the thread has ended, so this
        is saved only by a process that looks no name up and writes no file.
        """

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            if options.keys() <= {"family"} and is_address(host) and isinstance(port, int):
                options["type"] = SOCK_STREAM
            return await super().getaddrinfo(host, port, **options)

    new_loop = _Loop
