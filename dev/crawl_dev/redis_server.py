"""One private Redis that keeps what it is told: append-only file on, nothing evicted."""

from collections.abc import Mapping
from dataclasses import dataclass
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
#: How redis-server is found and started; nothing is inherited.
_ENVIRONMENT = {"PATH": installed.SEARCH_PATH, "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class OnDisk:
    """How much of an append-only file a disk had at some moment."""

    file: Path
    size_bytes: int


class RedisServer(ServerProcess):
    """A Redis on a loopback port, with its data in ``folder``."""

    def __init__(self, folder: Path, port: int, name: str = "redis") -> None:
        self.url = f"redis://{ports.LOOPBACK}:{port}/0"
        command = [str(installed.program("redis-server")), str(folder / "redis.conf")]
        super().__init__(name, port, folder, command, _ENVIRONMENT | {"HOME": str(folder)})

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
        return self.ask(line).partition("\r\n")[0]

    def ask(self, line: str) -> str:
        """The answer to a command in one line, as Redis sends it; one of a few kilobytes at most.

        Raises:
            ServersError: no answer, or an error.
        """
        answer = ports.ask(self.port, f"{line}\r\n".encode()).decode(errors="replace")
        if not answer or answer.startswith("-"):
            raise ServersError(f"{self.name}: {line}: {answer.strip() or 'no answer'}")
        return answer

    def on_disk(self) -> OnDisk:
        """How much of its append-only file is written just now: what a disk that is in step has."""
        files = sorted(self.folder.glob("appendonlydir/*.incr.aof"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise ServersError(f"{self.name} has no append-only file")
        return OnDisk(files[-1], files[-1].stat().st_size)

    def cut_power(self, survived: OnDisk, torn_bytes: int = 0) -> int:
        """End it so that only ``survived`` is left of what it wrote, as when the power fails before an fsync.

        ``kill -9`` alone loses nothing that Redis has written: the system has the pages and writes them.

        Args:
            survived: what the disk had; see :meth:`on_disk`.
            torn_bytes: how much of the next write was on the disk nevertheless.

        Returns:
            How many bytes of the file are lost.

        Raises:
            ServersError: the file has been rewritten since; what the disk had is nowhere any more.
        """
        self.kill()
        if self.on_disk().file != survived.file:
            raise ServersError(f"{self.name} has rewritten its append-only file")
        written_bytes = survived.file.stat().st_size
        kept_bytes = min(written_bytes, survived.size_bytes + torn_bytes)
        with survived.file.open("r+b") as file:
            file.truncate(kept_bytes)
        return written_bytes - kept_bytes


class RedisSentinel(ServerProcess):
    """One Sentinel on a loopback port, which watches over one master (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/)."""

    def __init__(self, folder: Path, port: int, name: str) -> None:
        command = [str(installed.program("redis-server")), str(folder / "sentinel.conf"), "--sentinel"]
        super().__init__(name, port, folder, command, _ENVIRONMENT | {"HOME": str(folder)})

    def configure(self, lines: str) -> None:
        """Make its folder and file; it writes into the file itself."""
        self.folder.mkdir(parents=True)
        own = f"bind {ports.LOOPBACK}\nport {self.port}\ndir {self.folder}\n"
        (self.folder / "sentinel.conf").write_text(own + lines)

    def answers(self) -> bool:
        """Whether it answers."""
        return ports.ask(self.port, b"PING\r\n").startswith(b"+PONG")

    def about(self, master: str) -> dict[str, str]:
        """What it knows about a master, by the names of ``SENTINEL MASTER``; empty while it does not answer."""
        answer = ports.ask(self.port, f"SENTINEL MASTER {master}\r\n".encode()).decode(errors="replace")
        words = [line for line in answer.split("\r\n")[1:] if not line.startswith("$")]
        return dict(zip(words[::2], words[1::2], strict=False))
