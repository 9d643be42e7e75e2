"""One private Redis that keeps what it is told: append-only file on, nothing evicted."""

from collections.abc import Mapping
from pathlib import Path

from crawl_dev import installed, ports
from crawl_dev.errors import ServersError
from crawl_dev.process import ServerProcess

_SETTINGS = {
    "bind": ports.LOOPBACK,
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "save": '""',  # the append-only file is enough
    "loglevel": "warning",
}


class RedisServer(ServerProcess):
    """A Redis on a loopback port, with its data in ``folder``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"redis://{ports.LOOPBACK}:{port}/0"
        command = [str(installed.program("redis-server")), str(folder / "redis.conf")]
        environment = {"PATH": installed.SEARCH_PATH, "LANG": "C.UTF-8", "HOME": str(folder)}
        super().__init__("redis", port, folder, command, environment)

    def environment(self) -> dict[str, str]:
        """The variable that leads the crawl-* commands to this server."""
        return {"CRAWL_REDIS_URL": self.url}

    def configure(self, settings: Mapping[str, str]) -> None:
        """Make its folder and file; ``settings`` add to or replace lines of redis.conf."""
        self.folder.mkdir(parents=True)
        lines = _SETTINGS | {"port": str(self.port), "dir": str(self.folder)} | dict(settings)
        (self.folder / "redis.conf").write_text("".join(f"{key} {value}\n" for key, value in lines.items()))

    def answers(self) -> bool:
        """Whether it answers; while it still reads its data, it says -LOADING."""
        return ports.ask(self.port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))

    def heal(self) -> None:
        """Thaw or start it, if a test has frozen or killed it, and wait until it answers."""
        self.resume()
        self.start()
        self.wait_ready()

    def command(self, line: str) -> str:
        """The first line of the answer to a command in one line, such as ``FLUSHALL``.

        Raises:
            ServersError: no answer, or an error.
        """
        answer = ports.ask(self.port, f"{line}\r\n".encode()).partition(b"\r\n")[0].decode()
        if not answer or answer.startswith("-"):
            raise ServersError(f"redis: {line}: {answer or 'no answer'}")
        return answer
