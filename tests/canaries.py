# ruff: noqa: RUF001  # the spellings are meant to be mistaken for others
"""A site, and listeners that nobody may ever connect to; with names that resolve to whatever a test says.

The site is at one loopback address, the canaries are at others, all on one port. What this process connects to is
written down besides, for addresses at which no canary can sit.
"""

import asyncio
import errno
import re
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus

from crawl_dev.ports import free_ports

#: The address of the site: the only one that the crawls of these tests may go to.
SITE = "127.7.7.7"
#: Where canaries sit.
CANARIES = ["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254"]
#: Hosts that lead to canaries, as a positive control spells them.
SEEN = ["127.0.0.1", "127.1", "2130706433", "127.0.0.2", "127.255.255.254", "localhost", "[::ffff:127.0.0.1]"]

#: 127.0.0.1 and other addresses that are not public, in spellings that a parser, a resolver or a system may take.
SPELLINGS = [
    *SEEN,
    *("127.0.1", "127.1.2.3", "127.000.000.001", "127.0.0.1.", "2130706434", "0x7f000001", "0x7F.1"),
    *("0x7f.0.0.1", "0x7F.0X0.00.0x1", "017700000001", "0177.0.0.1", "0177.1", "00000177.0x0.1", "%31%32%37.0.0.1"),
    *("127%2e0%2e0%2e1", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "①②⑦.⓪.⓪.①"),
    *("0", "0.0.0.0", "0x0", "00000000000", "0.0", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain"),
    *("user:pass@127.0.0.1", "site.test@127.0.0.1", "site.test%40@127.0.0.1"),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]", "[::0.0.0.1]"),
    *("[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::FFFF:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]", "[2001:0:7f00:1::]"),
    *("[2001:0:808:808::80ff:fffe]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]"),
    *("[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]"),
    *("[100::1]", "[4000::1]", "[2001:2::1]", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    *(
        "169.254.43518",
        "100.100.100.200",
        "100.64.0.1",
        "10.0.0.1",
        "10.1",
        "167772161",
        "172.16.0.1",
        "172.31.255.255",
    ),
    *("192.168.0.1", "192.168.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "4294967295"),
]


#: Where connections of a test end up on this machine.
_HERE = ("127.", "::1", "::ffff:7f", "::ffff:127.", "0.0.0.0")
_PAGE = (200, {}, "<title>a page</title>")
_NO_RULES = (404, {}, "")


class Names:
    """What DNS says, by name: addresses, or a list of them for one question after the other, the last one for good."""

    def __init__(self):
        self.answers = {"site.test": [SITE]}
        self.asked = []

    async def getaddrinfo(self, host, port, **_):
        self.asked.append(host)
        name = host.rstrip(".").lower()
        if name.split(".")[-1] == "localhost" or name == "localhost.localdomain":
            found = ["127.0.0.1"]
        elif name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        else:
            found = self.answers[name]
            if isinstance(found[0], list):
                found = found.pop(0) if len(found) > 1 else found[0]
        return [self._info(address, port) for address in found]

    def _info(self, address, port):
        if ":" in address:
            return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


class Field:
    """The site and the canaries.

    Attributes:
        port: of all of them.
        names: what DNS says.
        pages: of the site by path, or by ``//host/path`` for one of its names: (status, headers, body).
        touched: connections that canaries have seen.
        seen: paths that were asked of them.
        asked: host and path of what was asked of the site.
        connected: addresses that this process has connected to.
    """

    def __init__(self, port):
        self.port = port
        self.names = Names()
        self.pages = {}
        self.touched = 0
        self.seen = []
        self.asked = []
        self.connected = []

    def url(self, host, path):
        """As a stranger would write it."""
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader, writer):
        """One request a connection."""
        is_canary = writer.get_extra_info("sockname")[0] != SITE
        self.touched += is_canary
        with suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split()[1]
            if is_canary:
                self.seen.append(path)
                page = _NO_RULES if path == "/robots.txt" else _PAGE
            else:
                page = self._page(path, re.search(r"\r\nHost: ([^:\r]+)", head)[1])
            writer.write(_said(*page))
        writer.close()

    def _page(self, path, host):
        self.asked.append((host, path))
        default = _NO_RULES if path == "/robots.txt" else _PAGE
        return self.pages.get(f"//{host}{path}", self.pages.get(path, default))


def _said(status, headers, body):
    fields = {"Content-Type": "text/html; charset=utf-8", "Connection": "close"} | headers
    content = body.encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@contextmanager
def _noted(connected):
    """While inside, every address that a socket of this process connects to is written down, and none is elsewhere."""
    connect = socket.socket.connect

    def noting(self, address):
        connected.append(address[0])
        if not address[0].startswith(_HERE):  # a guard that fails must not have a test knock at strangers' doors
            raise ConnectionRefusedError("not of this machine")
        return connect(self, address)

    socket.socket.connect = noting
    try:
        yield
    finally:
        socket.socket.connect = connect


@asynccontextmanager
async def field():
    """The site and the canaries; names resolve as :class:`Names` says, and nothing else does."""
    addresses = [SITE, *CANARIES, *(["::1"] if _has_ipv6() else [])]
    while True:
        [port] = free_ports(1)
        ours = Field(port)
        try:
            server = await asyncio.start_server(ours.serve, addresses, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:  # on one of the addresses
                raise
            continue
        break
    asyncio.get_running_loop().getaddrinfo = ours.names.getaddrinfo
    try:
        with _noted(ours.connected):
            yield ours
    finally:
        server.close()
        await server.wait_closed()


def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
