"""A test web of many hosts: one process that serves every loopback address 127.x.y.z on one port and notes the time.

Every path of every host is a small page. What a host does besides is said in its answers' program, a JSON file:
``{"h3.test": {"status": 429, "retry_after": "5", "times": 1}}`` makes host ``h3.test`` answer its first request so,
and ``{"h3.test": {"pause_s": 0.2}}`` lets every answer of it take so long. Requests are written to ``requests.jsonl``
with the monotonic time, in seconds, of their arrival and of their answer; all processes of a machine share that clock.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TextIO, cast

import uvloop

from crawl_dev import ports
from crawl_dev.process import ServerProcess

#: Niceness of the measuring instrument, where the system lets it go first: it is not to wait for what it measures.
_FIRST = -10
_PAGE = b"<!doctype html><title>a page</title><p>Nothing but a page."


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request that the web has answered."""

    host: str
    path: str
    status: int
    start_s: float
    end_s: float


class ManyHosts(ServerProcess):
    """Hosts ``h0.test`` …, each on an address of its own; a context manager that starts and stops their process.

    Args:
        hosts: how many.
        program: what a host does besides serving pages; see the module.

    Raises:
        ServersError: it does not start.
    """

    def __init__(self, hosts: int, program: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        (port,) = ports.free_ports(1)
        self.hosts = {f"h{n}.test": f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(hosts)}
        folder = Path(tempfile.mkdtemp(prefix="crawl-web-"))
        self.hosts_file = folder / "hosts"
        self._requests = folder / "requests.jsonl"
        command = [sys.executable, "-m", "crawl_dev.web", str(folder), str(port)]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "LANG": "C.UTF-8"}
        super().__init__("web", port, folder, command, environment)
        self.hosts_file.write_text("".join(f"{address} {name}\n" for name, address in self.hosts.items()))
        (folder / "program.json").write_text(json.dumps(program or {}))

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.terminate()
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Whether it takes connections."""
        return ports.listening(self.port)

    def urls(self, host: str, pages: int) -> list[str]:
        """So many URLs of one host."""
        return [f"http://{host}:{self.port}/{n}" for n in range(pages)]

    def requests(self) -> list[WebRequest]:
        """Every request so far, in the order of their ends."""
        lines = self._requests.read_text().splitlines()
        return [WebRequest(**json.loads(line)) for line in lines]


class _Visit(asyncio.Protocol):
    """One connection; the time of a request is taken when its bytes are read, before anything else happens."""

    def __init__(self, program: dict[str, dict[str, Any]], log: TextIO) -> None:
        self._program = program
        self._log = log
        self._head = b""
        self._start_s = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._head:
            self._start_s = time.monotonic()
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            path, host = _asked(self._head)
            self._head = b""
            pause_s = self._program.get(host, {}).get("pause_s", 0)
            asyncio.get_running_loop().call_later(pause_s, self._answer, host, path, self._start_s)

    def _answer(self, host: str, path: str, start_s: float) -> None:
        status, field = self._status(host, path)
        body = _PAGE if status == 200 else b""
        request = WebRequest(host, path, status, start_s, time.monotonic())
        self._log.write(json.dumps(asdict(request)) + "\n")
        self._transport.write(
            b"HTTP/1.1 %d x\r\nContent-Type: text/html\r\nContent-Length: %d\r\n%s\r\n%s"
            % (status, len(body), field, body)
        )

    def _status(self, host: str, path: str) -> tuple[int, bytes]:
        if path == "/robots.txt":
            return 404, b""
        rule = self._program.get(host, {})
        if not rule.get("times"):
            return 200, b""
        rule["times"] -= 1
        after = rule.get("retry_after")
        return rule["status"], f"Retry-After: {after}\r\n".encode() if after else b""


def _asked(head: bytes) -> tuple[str, str]:
    lines = head.decode("latin-1").split("\r\n")
    host = next(line[5:].strip() for line in lines if line.lower().startswith("host:"))
    return lines[0].split()[1], host.partition(":")[0]


async def _main(folder: Path, port: int) -> None:
    program = json.loads((folder / "program.json").read_text())
    addresses = [line.split()[0] for line in (folder / "hosts").read_text().splitlines()]
    with (folder / "requests.jsonl").open("w", buffering=1) as log:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(PermissionError):
            os.nice(_FIRST)
        await loop.create_server(lambda: _Visit(program, log), [*addresses, ports.LOOPBACK], port, backlog=512)
        await _told_to_end()


async def _told_to_end() -> None:
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await end.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="crawl_dev.web", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    uvloop.run(_main(options.folder, options.port))
