"""The users that crawl-topology renders: a whole crawl under them, and what each of them is refused."""

import asyncio
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from crawl_dedup import LedgerRefused, open_plain_redis
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import BrokerRefused
from crawl_producer.topology import Connection
from dictionary_site import dictionary_site
from e2e_kit import Commands

USERS = ("crawl-seed", "crawl-consumer", "crawl-operator", "crawl-reader")
PASSWORD = "the-password-of-them-all"
TOPOLOGY = """\
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
inboxes: {docs.inbox: {crawl: docs}}
items: {docs.items: {queues: {docs.found: {}}}}
crawls:
  docs:
    exchange: crawl.docs
    key: page
    journal: {max_bytes: 2_000_000}
    scope: {max_pages_per_host: 1000, unique_content: true}
    retry: {max_attempts: 2, first_delay_s: 0.3}
    outputs: ['exchange:docs.items', 'redis:docs:items']
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def world(rabbit, fresh_vhost, redis_server, environment, tmp_path):
    """Commands by the short name of the user that they run as, and nothing declared yet."""
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    anybody = Commands(environment, tmp_path)
    api = rabbit.nodes[0].management.call
    vhost = quote(fresh_vhost, safe="")
    for line in anybody.run("crawl-topology", "render", "--as", "rabbitmqctl").splitlines():
        if line.startswith("rabbitmqctl set_permissions"):
            user, *patterns = shlex.split(line)[4:]
            tags = "monitoring" if user == "crawl-operator" else ""
            api("PUT", f"users/{user}", {"password": PASSWORD, "tags": tags})
            api("PUT", f"permissions/{vhost}/{user}", dict(zip(("configure", "write", "read"), patterns, strict=True)))
    for line in anybody.run("crawl-topology", "render", "--as", "redis-acl").splitlines():
        assert redis_server.command(line) == "+OK"
        assert redis_server.command(f"ACL SETUSER {line.split()[2]} >{PASSWORD}") == "+OK"
    yield SimpleNamespace(
        vhost=fresh_vhost,
        rabbit=rabbit,
        url={user: redis_server.url.replace("//", f"//{user}:{PASSWORD}@") for user in USERS},
        **{user.removeprefix("crawl-"): _as(user, environment, redis_server, tmp_path) for user in USERS},
    )
    for user in USERS:
        api("DELETE", f"users/{user}")
    redis_server.command(f"ACL DELUSER {' '.join(USERS)}")


def _as(user, environment, redis_server, folder):
    login = {"CRAWL_RABBITMQ_USERNAME": user, "CRAWL_RABBITMQ_PASSWORD": PASSWORD}
    redis = {"CRAWL_REDIS_URL": redis_server.url.replace("//", f"//{user}:{PASSWORD}@")}
    return Commands(environment | login | redis, folder)


def consume(world):
    world.consumer.run("crawl-consumer", "--queue", "docs.*", "--until-done", "--quiet")


def test_a_whole_crawl_runs_under_users_that_may_do_just_what_they_need(world, redis_server):
    refused = world.seed.run("crawl-seed", "https://example.org/", code=7)
    assert "may not load" in refused
    assert "crawl-status" in refused
    world.operator.run("crawl-topology", "apply")
    world.operator.run("crawl-topology", "check", "--live")
    world.operator.run("crawl-status")

    with dictionary_site({"/": '<a href="/a">a</a><a href="/broken">b</a>', "/a": "a", "/b": "b"}) as site:
        site.pages["/broken"] = (503, {}, "broken")
        world.seed.run("crawl-seed", site.home)
        consume(world)
        assert world.operator.status()["outcomes"] == {"ok": 2, "failed_http_503": 1}

        site.pages["/broken"] = "mended"
        (letter,) = world.operator.run("crawl-dead", "list", "--json").splitlines()
        assert json.loads(letter)["reason"] == "http_503"
        assert "1 replayed" in world.operator.run("crawl-dead", "replay", "--yes")
        consume(world)
        assert world.operator.status()["outcomes"] == {"ok": 3}

        publish_as_another_system(world, f"{site.home}b", "no URL")
        world.seed.run("crawl-seed", "--inbox", "docs.inbox", code=10)
        consume(world)
        assert world.operator.status()["outcomes"] == {"ok": 4}
        assert len(world.reader.run("crawl-items", "docs.found").splitlines()) == 4

        redis_server.command(f"RPUSH others:urls {site.home}c no-url")
        assert "has no permissions" in world.seed.run("crawl-seed", "--redis-key", "others:urls", code=7)
        security = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
        (line,) = re.findall(r"`(ACL SETUSER crawl-seed ~KEY [^`]+)`", security)
        redis_server.command(line.replace("KEY", "others:urls"))
        world.seed.run("crawl-seed", "--redis-key", "others:urls", code=10)
        assert redis_server.command("LLEN others:urls:rejected") == ":1"
        consume(world)
        assert world.operator.status()["outcomes"] == {"ok": 4, "http_404": 1}
        assert redis_server.command("LLEN docs:items") == ":4"

    findings = json.loads(world.operator.shell("crawl-doctor --deep --json; [ $? -le 16 ]"))["findings"]
    assert not [finding for finding in findings if finding["level"] == "error"]
    world.operator.run("crawl-doctor", "docs", "--repair")
    world.operator.run("crawl-forget", "docs", "--yes")
    assert world.operator.status()["admitted"] == 0


def publish_as_another_system(world, *bodies):
    async def main():
        connection = Connection(nodes=world.operator.environment["CRAWL_RABBITMQ_NODES"].split(","), vhost=world.vhost)
        async with AmqpBroker(connection, name="another") as broker:
            for body in bodies:
                await broker.publish(Outgoing("amq.direct", "inbox", body.encode(), "id"))

    world.rabbit.nodes[0].management.call(
        "POST", f"bindings/{quote(world.vhost, safe='')}/e/amq.direct/q/docs.inbox", {"routing_key": "inbox"}
    )
    asyncio.run(main())


def connection(world, user):
    nodes = world.operator.environment["CRAWL_RABBITMQ_NODES"].split(",")
    return Connection(nodes=nodes, vhost=world.vhost, username=user, password=PASSWORD, opening_s=30)


def called(name, *arguments):
    """A method of pika's channel, by name: what none of our commands would send."""
    return lambda channel: channel.call(getattr(channel.raw, name), *arguments)


async def tried(world, user, attempt):
    kind, *what = attempt
    if kind == "publish":
        async with AmqpBroker(connection(world, user), name="t") as broker:
            await broker.publish(Outgoing(what[0], what[1], b"{}", "id"))
    elif kind == "consume":
        async with AmqpBroker(connection(world, user), name="t") as broker:
            await broker.consume(what[0], prefetch=1, deliver=lambda _: None)
    elif kind == "declare":
        async with open_admin(connection(world, user)) as admin:
            await admin.declare(what[0])
    elif kind == "bind":
        async with open_admin(connection(world, user)) as admin:
            await admin.bind(what[0])
    else:
        async with open_admin(connection(world, user)) as admin:
            await admin._link.once(called(kind, *what))


QUORUM = {"x-queue-type": "quorum"}
REFUSED = {
    "crawl-seed": [
        ("consume", "docs.pages"),
        ("consume", "dead.docs.pages"),
        ("declare", Queue("docs.mine", QUORUM)),
        ("declare", Exchange("crawl.mine", "fanout")),
        ("queue_delete", "docs.inbox"),
        ("queue_purge", "docs.pages"),
        ("publish", "docs.items", "page"),
        ("publish", "crawl.redeliver", "docs.pages"),
        ("publish", "amq.fanout", ""),
        ("bind", Binding("crawl.docs", "docs.inbox", "page")),
    ],
    "crawl-consumer": [
        ("declare", Queue("docs.mine", QUORUM)),
        ("declare", Queue("docs.pages.due.mine", QUORUM)),
        ("queue_delete", "docs.pages"),
        ("exchange_delete", "crawl.docs"),
        ("bind", Binding("crawl.docs", "docs.pages", "elsewhere")),
        ("consume", "dead.docs.pages"),
        ("consume", "docs.inbox"),
        ("consume", "docs.found"),
        ("consume", "journal.docs"),
        ("publish", "crawl.redeliver", "docs.pages"),
        ("publish", "amq.topic", ""),
    ],
    "crawl-operator": [
        ("declare", Queue("mine", QUORUM)),
        ("declare", Queue("docs.pages.mine", QUORUM)),
        ("declare", Exchange("crawl-docs", "fanout")),
        ("publish", "amq.direct", "page"),
    ],
    "crawl-reader": [
        ("consume", "docs.pages"),
        ("publish", "crawl.docs", "page"),
        ("publish", "docs.items", "page"),
        ("queue_delete", "docs.found"),
    ],
}


def test_rabbitmq_refuses_each_user_what_is_not_its_work(world):
    world.operator.run("crawl-topology", "apply")

    async def main():
        for user, attempts in REFUSED.items():
            for attempt in attempts:
                allowed = f"{user} was allowed to {attempt}"
                with pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
                    assert await tried(world, user, attempt), allowed

    asyncio.run(main())


#: For everybody.
FORBIDDEN = [
    "FLUSHALL", "FLUSHDB", "EVAL return(1) 0", "EVAL_RO return(1) 0", "EVALSHA a 0", "SCRIPT LOAD return(1)",
    "SCRIPT FLUSH", "FUNCTION FLUSH", "FUNCTION DELETE crawl_ledger_1", "FUNCTION DUMP", "CONFIG GET requirepass",
    "CONFIG SET maxmemory 1", "CONFIG REWRITE", "ACL LIST", "ACL WHOAMI", "KEYS *", "SHUTDOWN NOSAVE",
    "SAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "CLIENT LIST", "CLIENT KILL TYPE normal", "MONITOR", "SELECT 1",
    "MIGRATE 127.0.0.1 1 k 0 1", "SWAPDB 0 1", "MODULE LIST", "GET another:key", "SET another:key 1", "PUBLISH c m",
    "RENAME crawl:{docs/main}:meta another:key",
]  # fmt: skip
#: For those who only work.
FORBIDDEN_TO_WORKERS = [
    "SCAN 0", "FUNCTION LOAD x", "GET crawl:{shop/main}:meta", "DEL crawl:{shop/main}:meta", "GET crawl:{docs/mai}:x",
    "FCALL ledger1_pin 1 crawl:{shop/main}: 1 1 00 b",
]  # fmt: skip


def test_redis_refuses_each_user_what_is_not_its_work(world):
    world.operator.run("crawl-status")
    cases = {
        "crawl-operator": FORBIDDEN,
        "crawl-consumer": [*FORBIDDEN, *FORBIDDEN_TO_WORKERS, "GET docs:others"],
        "crawl-seed": [*FORBIDDEN, *FORBIDDEN_TO_WORKERS, "GET crawl:host:{a}", "GET crawl:robots:{a}:file",
                       "RPUSH docs:items x"],
    }  # fmt: skip

    async def main():
        for user, commands in cases.items():
            async with await open_plain_redis(world.url[user], name="t") as redis:
                for line in commands:
                    with pytest.raises(LedgerRefused, match="has no permissions") as caught:
                        assert not await redis.call(*line.split()), f"{user} was allowed to {line}"
                    assert "render --as redis-acl" in caught.value.remedy

    asyncio.run(main())


def test_a_user_without_a_password_cannot_log_in(world, redis_server):
    redis_server.command("ACL DELUSER crawl-seed")
    (line, *_) = world.operator.run("crawl-topology", "render", "--as", "redis-acl").splitlines()
    redis_server.command(line)
    refused = world.seed.run("crawl-seed", "https://example.org/", code=7)
    assert "refuses the login" in refused
    assert PASSWORD not in refused
