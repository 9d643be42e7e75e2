"""crawl-topology against a real RabbitMQ: what it makes is what the file says, and behaves as it should."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from crawl_producer import names
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Delivery, Outgoing
from crawl_producer.declarations import Queue, State
from crawl_producer.derive import declarations
from crawl_producer.errors import Unroutable
from crawl_producer.plan import apply, plan
from crawl_producer.render import rabbitmqctl
from crawl_producer.rights import in_rabbitmq
from crawl_producer.settings import Overrides, load

#: Every kind of exchange and queue, with every argument that the file can ask for.
EVERYTHING = """
connection: {give_up_s: 2}
exchanges:
  in: {type: topic, alternate: spare}
  spare: {type: fanout}
  by.header: {type: headers, bindings: [{exchange: in, key: "h.*"}]}
  kept: {type: direct, alternate: crawl.unrouted}
  exact: {type: direct, bindings: [{exchange: in, key: "e.#"}]}
queues:
  plain: {crawl: c, delivery_limit: 1, bindings: [{exchange: in, key: "a.#"}, {exchange: exact, key: e.one}]}
  bounded: {crawl: c, max_length: 1000, bindings: [{exchange: spare}]}
  old: {crawl: c, type: classic, max_priority: 5, max_length: 10, bindings: [{exchange: in, key: old}]}
  headed:
    crawl: c
    bindings: [{exchange: by.header, arguments: {x-match: any, lane: fast, level: 3, urgent: true}}]
crawls:
  c: {exchange: in, key: a.b, journal: {max_bytes: 20_000_000}}
"""


class Server:
    """An empty virtual host, and the command with and without a terminal's patience."""

    def __init__(self, rabbit, vhost, folder):
        self.rabbit, self.vhost, self.folder = rabbit, vhost, folder
        self.environment = rabbit.environment(vhost=vhost)
        self.file = folder / "exchanges.yaml"
        self.file.write_text(EVERYTHING)

    def command(self, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", "from crawl_producer.cli.topology import main; main()", *arguments],
            env={**os.environ, **self.environment, "CRAWL_TOPOLOGY": str(self.file), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def topology(self):
        variables = {k.removeprefix("CRAWL_").lower(): v for k, v in self.environment.items()}
        return load(self.file, Overrides(**variables)).topology

    def bindings(self, vhost):
        listed = self.rabbit.ctl(
            "list_bindings",
            "-p",
            vhost,
            "source_name",
            "destination_name",
            "destination_kind",
            "routing_key",
            "arguments",
            "--formatter=json",
        )
        # Numbers in arguments travel as 32 bits over AMQP and as 64 in definitions; they match the same headers.
        same_numbers = listed.replace('"signedint"', '"long"')
        return {json.dumps(binding, sort_keys=True) for binding in json.loads(same_numbers)}


@pytest.fixture
def server(rabbit, fresh_vhost, tmp_path):
    return Server(rabbit, fresh_vhost, tmp_path)


def with_broker(server: Server, story: Callable[[AmqpBroker], Awaitable[None]]) -> None:
    async def main() -> None:
        connection = server.topology().connection
        async with open_admin(connection) as admin:
            await apply(await plan(declarations(server.topology()), admin), admin)
        async with AmqpBroker(connection, name="test") as broker, asyncio.timeout(30):
            await story(broker)

    asyncio.run(main())


def to(exchange, key, **headers):
    return Outgoing(exchange, key, b"{}", message_id="m", headers=headers)


async def first_of(broker, queue):
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    await broker.consume(queue, prefetch=10, deliver=arrived.put_nowait)
    return await arrived.get()


def test_apply_makes_everything_and_a_second_time_nothing(server):
    first = server.command("apply")
    assert (first.returncode, first.stderr) == (0, "")
    assert "declared  queue     plain.due" in first.stdout
    again = server.command("apply", "--json")
    assert json.loads(again.stdout)["declared"] == []
    checked = server.command("check", "--live", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["complete"]) == (0, True)


def test_plan_and_check_change_nothing(server):
    planned = server.command("plan")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert "missing   exchange  in" in planned.stdout
    assert server.command("check", "--live").returncode == 11
    assert server.rabbit.list_queues("name", vhost=server.vhost) == []


def test_the_packaged_topology_applies(server):
    server.file = Path(__file__).parents[2] / "exchanges.yaml"
    assert server.command("apply").returncode == 0
    assert server.command("check", "--live").returncode == 0


def test_what_differs_is_reported_and_the_rest_applied(server):
    async def declare_otherwise():
        async with open_admin(server.topology().connection) as admin:
            await admin.declare(Queue("plain", {"x-queue-type": "classic"}))

    asyncio.run(declare_otherwise())
    applied = server.command("apply", "--json")
    assert applied.returncode == 11
    (different,) = json.loads(applied.stdout)["different"]
    assert different["name"] == "plain"
    assert "inequivalent arg" in different["detail"]
    planned = json.loads(server.command("plan", "--json").stdout)
    assert [step["name"] for step in planned["steps"] if step["state"] != "same"] == ["plain"]


def test_the_rendered_script_makes_the_same_topology_as_apply(server, rabbit, tmp_path):
    applied = f"{server.vhost}-applied"
    rabbit.add_vhost(applied)
    try:
        assert server.command("apply", CRAWL_RABBITMQ_VHOST=applied).returncode == 0
        run_script(server, rabbit, tmp_path)
        checked = server.command("check", "--live", "--json")
        assert (checked.returncode, json.loads(checked.stdout)["complete"]) == (0, True)
        assert server.bindings(server.vhost) == server.bindings(applied)
        # And once more over what is there, without doubling a binding.
        assert server.command("apply").returncode == 0
        assert server.bindings(server.vhost) == server.bindings(applied)
    finally:
        rabbit.delete_vhost(applied)


def run_script(server, rabbit, folder):
    """As an operator would: sh, and a rabbitmqctl on the path that talks to this node."""
    script = server.command("render", "--as", "rabbitmqctl").stdout
    topology = server.topology()
    assert script == rabbitmqctl(declarations(topology), server.vhost, in_rabbitmq(topology))
    real = shlex.join(rabbit.nodes[0].ctl_command)
    wrapper = folder / "rabbitmqctl"
    wrapper.write_text(f'#!/bin/sh\nexec {real} --longnames --node {rabbit.nodes[0].full_name} "$@"\n')
    wrapper.chmod(0o755)
    environment = {**rabbit._environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh"], input=script, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "plain.due" in done.stdout


def test_a_message_that_waited_comes_to_the_companion_of_its_own_queue(server):
    async def story(broker):
        await broker.publish(to(names.delay_exchange(250), "plain"))
        delivery = await first_of(broker, "plain.due")
        assert delivery.body == b"{}"
        # Again with the broker's own headers gone, as every republishing does.
        await broker.publish(to(names.delay_exchange(250), "plain"))
        delivery.ack()

    with_broker(server, story)


def test_a_message_that_waited_for_a_queue_that_is_gone_is_kept_with_the_unrouted(server):
    async def story(broker):
        await broker.publish(to(names.delay_exchange(250), "no.such.queue"))
        assert (await first_of(broker, names.UNROUTED)).body == b"{}"

    with_broker(server, story)


@pytest.mark.parametrize("queue", ["plain", "plain.due"])
def test_a_message_that_is_redelivered_too_often_becomes_a_dead_letter(server, queue):
    async def story(broker):
        exchange, key = ("in", "a.b") if queue == "plain" else (names.REDELIVER, "plain")
        await broker.publish(to(exchange, key))

        def give_back(delivery):
            delivery.requeue()

        await broker.consume(queue, prefetch=1, deliver=give_back)
        dead = await first_of(broker, "dead.plain")
        assert dead.headers["x-first-death-queue"] == queue
        dead.ack()

    with_broker(server, story)


def test_exchanges_of_every_type_route_as_the_file_says(server):
    routes = {"a.x": "plain", "e.one": "plain", "nobody.knows": "bounded", "old": "old"}

    async def story(broker):
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        for queue in ("plain", "bounded", "old", "headed"):
            await broker.consume(queue, prefetch=10, deliver=arrived.put_nowait)
        for key, queue in routes.items():
            await broker.publish(to("in", key))
            assert (await arrived.get()).queue == queue
        await broker.publish(to("in", "h.1", lane="fast"))
        assert (await arrived.get()).queue == "headed"
        assert arrived.empty()

    with_broker(server, story)


def test_what_no_binding_wants_comes_back_to_the_publisher_unless_there_is_an_alternate(server):
    async def story(broker):
        with pytest.raises(Unroutable):
            await broker.publish(to("exact", "nobody.knows"))
        await broker.publish(to("kept", "nobody.knows"))
        assert (await first_of(broker, names.UNROUTED)).body == b"{}"

    with_broker(server, story)


def test_a_wrong_password_is_one_line_with_a_remedy_and_never_printed(server):
    failed = server.command("plan", CRAWL_RABBITMQ_PASSWORD="hunter2")
    assert failed.returncode == 5
    assert "hunter2" not in failed.stdout + failed.stderr
    assert failed.stderr.startswith("crawl-topology: ")
    assert "  remedy: " in failed.stderr
    assert "Traceback" not in failed.stderr


def test_no_broker_is_one_line_that_names_every_node(server):
    failed = server.command("plan", CRAWL_RABBITMQ_NODES="127.0.0.1:1,nowhere.invalid:1")
    assert failed.returncode == 4
    assert "127.0.0.1:1" in failed.stderr
    assert "nowhere.invalid:1" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_state_words_are_those_of_the_contract():
    assert {state.value for state in State} == {"missing", "same", "different"}
