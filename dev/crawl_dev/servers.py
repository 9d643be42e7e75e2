"""A private RabbitMQ cluster and Redis: started together, found again by their folder, stopped together."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from crawl_dev.errors import ServersError
from crawl_dev.guard import Guard
from crawl_dev.layout import Layout
from crawl_dev.process import ServerProcess
from crawl_dev.rabbit_cluster import RabbitCluster
from crawl_dev.redis_replicated import ReplicatedRedis
from crawl_dev.redis_server import RedisServer


class Servers:
    """The servers of one folder, running or not. Nothing of the machine is used or touched.

    Every port is a free one on loopback, every file is in the folder, every process was started from it.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.folder = layout.folder
        self._rabbit = (
            RabbitCluster(self.folder, layout.epmd_port, layout.nodes, layout.rabbitmq) if layout.nodes else None
        )
        self._redis = RedisServer(self.folder / "redis", layout.redis_port) if layout.redis_port else None
        ports = layout.replicated
        self._replicated = ReplicatedRedis(self.folder, ports[:2], ports[2:]) if ports else None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The servers that some command has put into ``folder``."""
        return cls(Layout.read(folder))

    @property
    def rabbit(self) -> RabbitCluster:
        """The RabbitMQ cluster.

        Raises:
            ServersError: it was not asked for.
        """
        if self._rabbit is None:
            raise ServersError(f"{self.folder} has no RabbitMQ")
        return self._rabbit

    @property
    def redis(self) -> RedisServer:
        """The Redis.

        Raises:
            ServersError: it was not asked for.
        """
        if self._redis is None:
            raise ServersError(f"{self.folder} has no Redis")
        return self._redis

    @property
    def replicated(self) -> ReplicatedRedis:
        """The Redis with a replica and Sentinels.

        Raises:
            ServersError: it was not asked for.
        """
        if self._replicated is None:
            raise ServersError(f"{self.folder} has no replicated Redis")
        return self._replicated

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """Everything that runs, or should."""
        rabbit = self._rabbit.processes if self._rabbit else ()
        return (*rabbit, *((self._redis,) if self._redis else ()), *self._replicated_processes)

    @property
    def _replicated_processes(self) -> tuple[ServerProcess, ...]:
        return self._replicated.processes if self._replicated else ()

    def process(self, name: str) -> ServerProcess:
        """The process of this name, such as ``rabbit2`` or ``redis``.

        Raises:
            ServersError: there is none; the message lists those that there are.
        """
        names = {process.name: process for process in self.processes}
        if name not in names:
            raise ServersError(f"no server {name!r} in {self.folder}", remedy=f"there are: {', '.join(names)}")
        return names[name]

    def environment(self) -> dict[str, str]:
        """The CRAWL_* variables that lead the crawl-* commands to these servers."""
        rabbit = self._rabbit.environment() if self._rabbit else {}
        redis = self._redis or self._replicated
        return rabbit | (redis.environment() if redis else {})

    def configure(self, rabbit_settings: Mapping[str, str], redis_settings: Mapping[str, str]) -> None:
        """Write every file that the servers need."""
        self.layout.write()
        if self._rabbit:
            self._rabbit.configure(rabbit_settings)
        if redis := self._redis or self._replicated:
            redis.configure(redis_settings)

    def start(self) -> None:
        """Start what does not run, and wait until all is ready; if that fails, stop all and keep the logs."""
        try:
            if self._redis:
                self._redis.start()
                self._redis.wait_ready()
            if self._replicated:
                self._replicated.start()
            if self._rabbit:
                self._rabbit.start()
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """Stop everything in good order; or kill it, where the folder with its data is a temporary one."""
        if self.layout.temporary:
            for process in self.processes:
                process.kill()
            shutil.rmtree(self.folder)
        else:
            self._end()

    def _end(self) -> None:
        if self._rabbit:
            self._rabbit.stop()
        if redis := self._redis or self._replicated:
            redis.terminate()


class PrivateServers(Servers):
    """Servers for as long as a ``with`` block lasts.

    When the process in the block dies in any way, ``kill -9`` included, the servers are stopped nevertheless.

    Args:
        rabbit_nodes: how many RabbitMQ nodes form the cluster; 0 for none.
        redis: whether there is a Redis.
        replicated: whether that Redis is two servers with Sentinels.
        folder: a new or empty folder, which is kept; by default a temporary one, which is not.
        rabbit_settings: lines of rabbitmq.conf that add to or replace ours.
        redis_settings: lines of redis.conf that add to or replace ours.

    Raises:
        ServersError: a server is not installed or does not start, or the folder is not empty.
    """

    def __init__(
        self,
        rabbit_nodes: int = 1,
        *,
        redis: bool = True,
        replicated: bool = False,
        folder: Path | None = None,
        rabbit_settings: Mapping[str, str] | None = None,
        redis_settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(Layout.plan(rabbit_nodes, redis=redis, folder=folder, replicated=replicated))
        self.configure(rabbit_settings or {}, redis_settings or {})
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        self._guard = Guard(self.folder)
        try:
            self.start()
        except BaseException:
            self._guard.dismiss()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        if self._guard:
            self._guard.dismiss()
