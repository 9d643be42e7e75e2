"""A web server that says exactly the bytes it is told to, right or wrong, over real sockets."""

import asyncio
import inspect
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

from crawl_producer.guard import Guard

#: Lets a fetcher go to the webs of the tests.
LOOPBACK = Guard([ip_network("127.0.0.0/8")])


class RawWeb:
    """Answers by path. ``requests`` holds the head of each request, ``connections`` how many were made.

    An answer is bytes, after which the connection stays open if they announce their length and is closed if not,
    or an async function of (reader, writer), after which it is closed.
    """

    def __init__(self, answers, greeting):
        self.answers, self.greeting = answers, greeting
        self.requests, self.connections = [], 0
        self.origin = ""
        self._writers = set()

    def url(self, path):
        return self.origin + path

    async def serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        writer.write(self.greeting)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                answer = self.answers[head.split()[1].decode()]
                if inspect.iscoroutinefunction(answer):
                    await answer(reader, writer)
                    break
                writer.write(answer)
                await writer.drain()
                if b"ontent-Length" not in answer:
                    break
        writer.close()
        self._writers.discard(writer)

    def hang_up(self):
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def raw_web(answers, *, tls=None, greeting=b""):
    """Serve ``answers`` on a free port of the loopback interface, with TLS when given a server's context.

    ``greeting`` is said on each new connection, before anything was asked.
    """
    web = RawWeb(answers, greeting)
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    web.origin = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield web
    finally:
        web.hang_up()
        server.close()
        await server.wait_closed()


def answer(body=b"", *fields, status=b"200 OK"):
    """A proper HTTP/1.1 answer with its length; HTML unless a field says otherwise."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    if not any(field.lower().startswith(b"content-type:") for field in fields):
        lines.append(b"Content-Type: text/html")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
