"""A private Redis with a replica, and three Sentinels that promote it when the master is gone."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crawl_dev import ports
from crawl_dev.errors import ServersError
from crawl_dev.process import POLL_S, ServerProcess
from crawl_dev.redis_server import RedisSentinel, RedisServer

#: What the Sentinels call it.
MASTER = "main"
#: Two of three Sentinels must agree. A master that is silent for a second is down, where 30 s are usual; a promotion
#: that has not come about in three seconds is tried again.
_SENTINEL = f"""\
sentinel monitor {MASTER} {ports.LOOPBACK} {{port}} 2
sentinel down-after-milliseconds {MASTER} 1000
sentinel failover-timeout {MASTER} 3000
"""
#: Sentinels tell each other of a promotion within seconds, and look at a master that returns every ten.
_DEADLINE_S = 40.0


class ReplicatedRedis:
    """Two Redis servers and three Sentinels.

    Args:
        folder: where everything of them is kept.
        servers: the ports of the two servers; the first begins as master.
        sentinels: the ports of the Sentinels.
    """

    def __init__(self, folder: Path, servers: Sequence[int], sentinels: Sequence[int]) -> None:
        self.servers = tuple(RedisServer(folder / f"redis{n}", port, f"redis{n}") for n, port in enumerate(servers, 1))
        self.sentinels = tuple(
            RedisSentinel(folder / f"sentinel{n}", port, f"sentinel{n}") for n, port in enumerate(sentinels, 1)
        )
        addresses = ",".join(f"{ports.LOOPBACK}:{port}" for port in sentinels)
        self.url = f"redis+sentinel://{addresses}/{MASTER}/0"

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """Everything that runs for it, in the order of starting."""
        return (*self.servers, *self.sentinels)

    @property
    def master(self) -> RedisServer:
        """The server that most Sentinels take for the master.

        Raises:
            ServersError: they do not agree.
        """
        named = [sentinel.about(MASTER).get("port") for sentinel in self.sentinels]
        for server in self.servers:
            if 2 * named.count(str(server.port)) > len(named):
                return server
        raise ServersError(f"the Sentinels name {named}")

    @property
    def port(self) -> int:
        """The master's port; while the Sentinels disagree, anyone's."""
        try:
            return self.master.port
        except ServersError:
            return self.servers[0].port

    def command(self, line: str) -> str:
        """See :meth:`crawl_dev.redis_server.RedisServer.command`; the master is asked."""
        return self.master.command(line)

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def environment(self) -> dict[str, str]:
        """The variable that leads the crawl-* commands to it."""
        return {"CRAWL_REDIS_URL": self.url}

    def configure(self, settings: Mapping[str, str]) -> None:
        """Make folders and files; ``settings`` add to or replace lines of both servers' redis.conf."""
        first, *others = self.servers
        first.configure(settings)
        for other in others:
            other.configure({**settings, "replicaof": f"{ports.LOOPBACK} {first.port}"})
        for sentinel in self.sentinels:
            sentinel.configure(_SENTINEL.format(port=first.port))

    def start(self) -> None:
        """Start what does not run, thaw what is frozen, and wait until all are in step."""
        for server in self.servers:
            server.heal()
        # A Sentinel asks a master for its replicas at once, and then every ten seconds.
        fresh = [server for server in self.servers if _role(server) == "slave"] if not self.sentinels[0].alive else []
        _until(lambda: all(_follows(server) for server in fresh), "the replica to follow", _DEADLINE_S)
        for sentinel in self.sentinels:
            sentinel.resume()
            sentinel.start()
        for sentinel in self.sentinels:
            sentinel.wait_ready()
        self.wait_in_step()

    def terminate(self) -> None:
        """Stop everything, the Sentinels first, so that they promote nobody."""
        for process in reversed(self.processes):
            process.terminate()

    def wait_in_step(self, deadline_s: float = _DEADLINE_S) -> None:
        """Wait until the Sentinels know each other and both servers, and the replica has all that the master has.

        Raises:
            ServersError: not within ``deadline_s`` seconds.
        """
        _until(self._in_step, "master, replica and Sentinels to be in step", deadline_s)

    def wait_promoted(self, former: RedisServer, deadline_s: float = _DEADLINE_S) -> RedisServer:
        """Wait until most Sentinels name another master than ``former``, which says so too; returns it.

        Raises:
            ServersError: not within ``deadline_s`` seconds.
        """
        (promoted,) = (server for server in self.servers if server is not former)
        _until(
            lambda: _role(promoted) == "master" and self._named(promoted),
            f"{promoted.name} to be promoted",
            deadline_s,
        )
        return promoted

    def _named(self, server: RedisServer) -> bool:
        try:
            return self.master is server
        except ServersError:
            return False

    def _in_step(self) -> bool:
        known = [sentinel.about(MASTER) for sentinel in self.sentinels]
        others = {"num-slaves": str(len(self.servers) - 1), "num-other-sentinels": str(len(self.sentinels) - 1)}
        if any(about.get(what) != number for about in known for what, number in others.items()):
            return False
        masters = {about["port"] for about in known}
        roles = {str(server.port): _role(server) for server in self.servers}
        return (
            len(masters) == 1
            and [port for port, role in roles.items() if role == "master"] == list(masters)
            and all(_follows(server) for server in self.servers if roles[str(server.port)] == "slave")
        )


def _until(true: Callable[[], bool], what: str, deadline_s: float) -> None:
    until = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > until:
            raise ServersError(f"waited {deadline_s:.0f} s for {what}")
        time.sleep(POLL_S)


def _replication(server: RedisServer) -> dict[str, str]:
    try:
        lines = server.ask("INFO replication").splitlines()
    except ServersError:
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _role(server: RedisServer) -> str:
    return _replication(server).get("role", "")


def _follows(server: RedisServer) -> bool:
    return _replication(server).get("master_link_status") == "up"
