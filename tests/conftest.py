"""The private servers that tests may ask for; each is started once, when the first test needs it.

``rabbit`` and ``fresh_vhost`` give one RabbitMQ node and an empty virtual host of it; ``cluster`` and
``cluster_vhost`` the same with three nodes; ``redis_server`` and ``fresh_redis`` a Redis and the URL of its
empty database; ``environment`` and ``cluster_environment`` what leads a command to them. A test may kill or
freeze any server: the function-scoped fixtures bring it back. Without installed servers such tests fail and
name the remedy.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from crawl_dev import PrivateServers, RabbitCluster, RabbitInstallation, RedisServer, ServersError
from crawl_dev.databases import MariaDbServer, PostgresServer

#: Fixtures that start a server; tests that use one are marked: ``pytest -m 'not servers'`` leaves them out.
_SERVER_FIXTURES = {"rabbit", "cluster", "redis_server", "postgres", "mariadb"}
#: What is true only of the RabbitMQ of another system, which make test-rabbitmq4 starts; it takes Linux and rights.
collect_ignore = (
    [] if RabbitInstallation.chosen().root else ["integration/test_another_system.py", "e2e/test_rabbitmq_to_come.py"]
)

# How long an example takes says more about the machine than about the code.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


def pytest_report_header() -> str:
    try:
        return f"servers: {RabbitInstallation.chosen()}"
    except ServersError as missing:
        return f"servers: {missing}"


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on either event loop."""
    return request.param


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitCluster]:
    """One RabbitMQ node."""
    with PrivateServers(rabbit_nodes=1, redis=False) as servers:
        yield servers.rabbit


@pytest.fixture(scope="session")
def cluster() -> Iterator[RabbitCluster]:
    """Three RabbitMQ nodes."""
    with PrivateServers(rabbit_nodes=3, redis=False) as servers:
        yield servers.rabbit


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis with an append-only file."""
    with PrivateServers(rabbit_nodes=0, redis=True) as servers:
        yield servers.redis


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDbServer]:
    """A MariaDB."""
    with MariaDbServer() as server:
        yield server


@pytest.fixture
def fresh_vhost(rabbit: RabbitCluster) -> Iterator[str]:
    """The name of an empty virtual host of ``rabbit``, whose node is up."""
    yield from _vhost(rabbit)


@pytest.fixture
def cluster_vhost(cluster: RabbitCluster) -> Iterator[str]:
    """The name of an empty virtual host of ``cluster``, whose nodes are all up."""
    yield from _vhost(cluster)


@pytest.fixture
def fresh_redis(redis_server: RedisServer) -> str:
    """The URL of an empty Redis database, which is up and holds no functions either."""
    redis_server.heal()
    redis_server.command("FLUSHALL")
    redis_server.command("FUNCTION FLUSH")
    return redis_server.url


@pytest.fixture
def environment(rabbit: RabbitCluster, fresh_vhost: str, fresh_redis: str) -> dict[str, str]:
    """The CRAWL_* variables of one node, its empty virtual host and an empty Redis."""
    return rabbit.environment(vhost=fresh_vhost) | {"CRAWL_REDIS_URL": fresh_redis}


@pytest.fixture
def cluster_environment(cluster: RabbitCluster, cluster_vhost: str, fresh_redis: str) -> dict[str, str]:
    """The CRAWL_* variables of three nodes, their empty virtual host and an empty Redis."""
    return cluster.environment(vhost=cluster_vhost) | {"CRAWL_REDIS_URL": fresh_redis}


def _vhost(cluster: RabbitCluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.heal()
    cluster.add_vhost(name)
    yield name
    cluster.heal()
    cluster.delete_vhost(name)
