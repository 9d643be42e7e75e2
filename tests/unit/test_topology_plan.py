"""What is derived from a topology, and how a plan for it is made and carried out."""

import asyncio
import json
import shutil
import subprocess

import pytest

from crawl_producer import names
from crawl_producer.declarations import Exchange, Finding, Queue, State
from crawl_producer.derive import declarations
from crawl_producer.errors import BrokerUnreachable, TopologyDrift
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.plan import AT_ONCE, apply, plan
from crawl_producer.render import definitions, mermaid, rabbitmqctl
from crawl_producer.rights import in_rabbitmq
from crawl_producer.topology_file import parse_topology

TOPOLOGY = parse_topology(
    """
exchanges:
  x: {type: topic, alternate: y}
  y: {type: fanout, bindings: [{exchange: x, key: "y.#"}]}
  z: {type: headers, bindings: [{exchange: x, key: "q.#"}]}
queues:
  q: {crawl: c, delivery_limit: 7, max_length: 9, bindings: [{exchange: x, key: "q.#"}]}
  old: {crawl: c, type: classic, max_priority: 3, bindings: [{exchange: y}]}
  h: {crawl: c, group: other, bindings: [{exchange: z, arguments: {x-match: all, "a\\"#": 1}}]}
crawls:
  c: {exchange: x, key: q.a, seed_key: q.seed, routes: [{match: '"<b>', key: q, exchange: x}]}
""",
    "test",
)
WANTED = declarations(TOPOLOGY)
EXCHANGES = {exchange.name: exchange for exchange in WANTED.exchanges}
QUEUES = {queue.name: dict(queue.arguments) for queue in WANTED.queues}
BINDINGS = {(b.source, b.key, b.destination, b.to_exchange) for b in WANTED.bindings}

AT_LEAST_ONCE = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


def test_a_work_queue_counts_deliveries_and_dead_letters_under_its_own_name():
    assert QUEUES["q"] == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 7,
        "x-max-length": 9,
        "x-dead-letter-exchange": "crawl.dead",
        "x-dead-letter-routing-key": "q",
        **AT_LEAST_ONCE,
    }


def test_a_companion_is_never_bounded_and_dead_letters_as_its_work_queue_does():
    assert QUEUES["q.due"] == {key: value for key, value in QUEUES["q"].items() if key != "x-max-length"}
    assert QUEUES["old.due"]["x-queue-type"] == "quorum"


def test_a_classic_queue_has_only_arguments_that_classic_queues_take():
    assert QUEUES["old"] == {
        "x-queue-type": "classic",
        "x-max-priority": 3,
        "x-dead-letter-exchange": "crawl.dead",
        "x-dead-letter-routing-key": "old",
    }


def test_dead_letters_are_kept_without_limit_and_however_often_they_are_looked_at():
    assert QUEUES["dead.q"] == {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


def test_every_rung_of_the_ladder_leads_out_under_the_key_it_was_published_with():
    for delay_ms in names.DELAYS_MS:
        rung = f"crawl.delay.{delay_ms}"
        assert EXCHANGES[rung].type == "fanout"
        assert QUEUES[rung] == {
            "x-queue-type": "quorum",
            "x-message-ttl": delay_ms,
            "x-dead-letter-exchange": "crawl.redeliver",
            **AT_LEAST_ONCE,
        }
        assert (rung, "", rung, False) in BINDINGS


def test_what_rabbitmq_moves_always_arrives_somewhere():
    unrouted = {"alternate-exchange": "crawl.unrouted"}
    assert EXCHANGES["crawl.dead"] == Exchange("crawl.dead", "direct", unrouted)
    assert EXCHANGES["crawl.redeliver"] == Exchange("crawl.redeliver", "direct", unrouted)
    assert QUEUES["crawl.unrouted"]["x-overflow"] == "drop-head"
    assert ("crawl.unrouted", "", "crawl.unrouted", False) in BINDINGS
    assert {("crawl.redeliver", "q", "q.due", False), ("crawl.dead", "q", "dead.q", False)} <= BINDINGS


def test_exchanges_of_the_file_return_what_they_cannot_route_unless_an_alternate_is_named():
    assert EXCHANGES["x"] == Exchange("x", "topic", {"alternate-exchange": "y"})
    assert EXCHANGES["z"] == Exchange("z", "headers")


def test_bindings_of_the_file_are_made_between_exchanges_and_to_queues():
    assert {("x", "y.#", "y", True), ("x", "q.#", "q", False), ("y", "", "old", False)} <= BINDINGS
    (headed,) = (binding for binding in WANTED.bindings if binding.destination == "h")
    assert headed.arguments == {"x-match": "all", 'a"#': 1}


def test_everything_that_is_bound_or_referred_to_is_declared():
    for binding in WANTED.bindings:
        assert binding.source in EXCHANGES
        assert binding.destination in (EXCHANGES if binding.to_exchange else QUEUES)
    for exchange in WANTED.exchanges:
        assert exchange.arguments.get("alternate-exchange", exchange.name) in EXCHANGES
    for arguments in QUEUES.values():
        assert arguments.get("x-dead-letter-exchange", "x") in EXCHANGES


def test_no_argument_is_emitted_that_some_supported_rabbitmq_refuses():
    emitted = {(arguments["x-queue-type"], name) for arguments in QUEUES.values() for name in arguments}
    assert not {("quorum", "x-max-priority"), ("classic", "x-delivery-limit")} & emitted
    assert not {name for _, name in emitted} & {"x-queue-mode", "x-queue-version", "x-expires"}


def test_apply_makes_a_plan_come_true_and_then_has_nothing_to_do():
    async def story():
        async with MemoryBroker() as broker:
            before = await plan(WANTED, broker)
            assert {step.state for step in before.steps} == {State.MISSING}
            applied = await apply(before, broker)
            assert sorted(applied.declared, key=str) == sorted((*WANTED.exchanges, *WANTED.queues), key=str)
            assert (applied.bound, applied.different) == (len(WANTED.bindings), ())
            after = await plan(WANTED, broker)
            assert after.complete
            assert (await apply(after, broker)).declared == ()

    asyncio.run(story())


def test_what_differs_is_left_alone_and_everything_else_is_applied():
    async def story():
        async with MemoryBroker() as broker:
            await broker.declare(Queue("q", {"x-queue-type": "classic"}))
            current = await plan(WANTED, broker)
            (step,) = current.in_state(State.DIFFERENT)
            assert (step.thing.name, bool(step.detail)) == ("q", True)
            applied = await apply(current, broker)
            assert applied.different == (step,)
            assert len(applied.declared) == len(WANTED.exchanges) + len(WANTED.queues) - 1
            assert not (await plan(WANTED, broker)).complete

    asyncio.run(story())


class Recorder:
    """An admin that notes what it is asked, and how much of it at once."""

    def __init__(self, refuse=(), fail=None):
        self.refuse, self.fail = refuse, fail
        self.calls = []
        self.running = self.most = 0

    async def look(self, _):
        return Finding(State.MISSING)

    async def declare(self, thing):
        await self._note("declare", thing)
        if thing.name in self.refuse:
            raise TopologyDrift("inequivalent arg")

    async def bind(self, binding):
        await self._note("bind", binding)

    async def _note(self, verb, thing):
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.calls.append((verb, thing))
        self.running -= 1
        if self.fail is thing:
            raise BrokerUnreachable("gone")


def test_exchanges_come_before_queues_and_both_before_bindings_a_few_at_a_time():
    async def story():
        admin = Recorder()
        await apply(await plan(WANTED, admin), admin)
        kinds = [type(thing).__name__ for _, thing in admin.calls]
        assert kinds == sorted(kinds, key=["Exchange", "Queue", "Binding"].index)
        assert admin.most == AT_ONCE

    asyncio.run(story())


def test_what_somebody_else_declared_otherwise_meanwhile_counts_as_different():
    async def story():
        admin = Recorder(refuse=("q",))
        applied = await apply(await plan(WANTED, admin), admin)
        assert [(step.thing.name, step.detail) for step in applied.different] == [("q", "inequivalent arg")]
        assert "q" not in {thing.name for thing in applied.declared}

    asyncio.run(story())


def test_a_lost_broker_ends_apply_with_its_own_error_and_nothing_left_running():
    async def story():
        admin = Recorder(fail=WANTED.queues[0])
        with pytest.raises(BrokerUnreachable, match="gone"):
            await apply(await plan(WANTED, admin), admin)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not [thing for verb, thing in admin.calls if verb == "bind"]

    asyncio.run(story())


def test_a_cancelled_apply_stops_everything_it_began():
    async def story():
        admin = Recorder()
        running = asyncio.create_task(apply(await plan(WANTED, admin), admin))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(admin.calls) < len(WANTED.exchanges)

    asyncio.run(story())


def test_definitions_hold_exactly_what_apply_declares_in_the_virtual_host():
    content = json.loads(definitions(WANTED, "my vhost"))
    assert content["vhosts"] == [{"name": "my vhost"}]
    assert {x["name"]: (x["type"], x["arguments"]) for x in content["exchanges"]} == {
        x.name: (x.type, x.arguments) for x in WANTED.exchanges
    }
    assert {q["name"]: q["arguments"] for q in content["queues"]} == QUEUES
    bound = {
        (b["source"], b["routing_key"], b["destination"], b["destination_type"] == "exchange")
        for b in content["bindings"]
    }
    assert bound == BINDINGS
    everything = [*content["exchanges"], *content["queues"], *content["bindings"]]
    assert {thing["vhost"] for thing in everything} == {"my vhost"}


def test_the_script_is_shell_whatever_the_names_are():
    shell = shutil.which("sh")
    script = rabbitmqctl(WANTED, 'it\'s; rm -rf "$HOME" \\', in_rabbitmq(TOPOLOGY))
    checked = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    argument = "'it'\"'\"'s; rm -rf \"$HOME\" \\'"
    assert f"rabbitmqctl add_vhost {argument}\n" in script
    assert f"rabbitmqctl set_permissions -p {argument} crawl-seed " in script


def test_the_picture_shows_crawls_exchanges_queues_and_one_plumbing():
    picture = mermaid(TOPOLOGY)
    assert picture.splitlines()[0] == "flowchart LR"
    for line in (
        '  c_c(["crawl c"])',
        '  x_x{{"x<br>topic"}}',
        '  q_q["q<br>quorum, group main"]',
        '  c_c -- "seeds: q.seed" --> x_x',
        '  c_c -- "#34;#60;b#62;: q" --> x_x',
        '  x_x -- "y.#35;" --> x_y',
        "  x_x -. alternate .-> x_y",
        "  x_y --> q_old",
        '  x_z -- "x-match=all, a#34;#35;=1" --> q_h',
        "  q_q -. crawl-consumer .-> c_c",
    ):
        assert line in picture.splitlines()
    assert picture.count("subgraph") == 1


def with_journal(spec):
    """A topology of two crawls, one of which says ``spec`` of its journal."""
    text = f"""
exchanges:
  x: {{type: topic}}
  f: {{type: fanout, bindings: [{{exchange: x, key: "f.#"}}]}}
queues:
  a: {{crawl: c, bindings: [{{exchange: x, key: "a.#"}}, {{exchange: f}}]}}
  b: {{crawl: c, group: other, bindings: [{{exchange: x, key: "a.#"}}, {{exchange: x, key: b}}]}}
  d: {{crawl: d, bindings: [{{exchange: x, key: d}}]}}
crawls:
  c: {{exchange: x, key: a.b, {spec}}}
  d: {{exchange: x, key: d}}
"""
    return parse_topology(text, "test")


def journal_of(spec):
    """The stream and the bindings of a crawl's journal."""
    wanted = declarations(with_journal(spec))
    streams = {queue.name: dict(queue.arguments) for queue in wanted.queues if queue.name.startswith("journal.")}
    return streams, [(b.source, b.key) for b in wanted.bindings if b.destination == "journal.c"]


def test_a_journal_is_a_stream_that_is_bound_as_all_work_queues_of_its_crawl_are():
    streams, bindings = journal_of("journal: {max_bytes: 1_600_000}")
    assert streams == {
        "journal.c": {
            "x-queue-type": "stream",
            "x-max-length-bytes": 1_600_000,
            "x-stream-max-segment-size-bytes": 100_000,
        }
    }
    assert bindings == [("x", "a.#"), ("f", ""), ("x", "b")]


def test_a_crawl_has_no_journal_unless_it_asks_for_one():
    assert journal_of("expected_urls: 5") == journal_of("journal: false") == ({}, [])
    ((name, arguments),) = journal_of("journal: true")[0].items()
    assert (name, arguments["x-max-length-bytes"]) == ("journal.c", 2 << 30)


def test_a_segment_of_a_journal_is_no_larger_than_rabbitmq_takes():
    (arguments,) = journal_of("journal: {max_bytes: 100_000_000_000}")[0].values()
    assert arguments["x-stream-max-segment-size-bytes"] == 500_000_000


def test_a_journal_is_drawn_with_the_exchanges_that_it_copies():
    picture = mermaid(with_journal("journal: true"))
    assert 'j_c[("journal.c<br>stream")]' in picture
    assert [line.strip() for line in picture.splitlines() if "copies" in line] == [
        "x_x -. copies .-> j_c",
        "x_f -. copies .-> j_c",
    ]
    assert "journal" not in mermaid(with_journal("journal: false"))
