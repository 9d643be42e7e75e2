"""The doctor's checks, each a pure function from facts to findings."""

import shlex
from dataclasses import replace

import pytest

from crawl_dedup import LedgerDebts, LedgerName, Members, Progress, RedisHealth
from crawl_producer.declarations import Declarations, Exchange, Queue, State
from crawl_producer.doctor import (
    check_balance,
    check_held,
    check_ledger,
    check_nodes,
    check_queues,
    check_redis,
    check_topology,
)
from crawl_producer.doctor.facts import (
    BrokerFacts,
    ChannelFacts,
    DeadFacts,
    LedgerFacts,
    Look,
    NodeFacts,
    QueueFacts,
)
from crawl_producer.doctor.finding import Finding, Level, worst
from crawl_producer.plan import Plan, Step
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {"q": {"crawl": "c", "max_length": 100, "bindings": [{"exchange": "x", "key": "k"}]}},
        "crawls": {"c": {"exchange": "x", "key": "k"}},
        "items": {"found": {"queues": {"found.all": {"max_length": 100}}}},
        "inboxes": {"in": {"crawl": "c"}},
    }
)
SOUND = {"appendfsync": "everysec", "used_bytes": 1}


def bad(findings):
    """What is not in order, in short."""
    return [
        (finding.level.value, finding.subject, finding.text) for finding in findings if finding.level is not Level.OK
    ]


def only(findings):
    """The one finding, and whether it says what to do."""
    [finding] = [finding for finding in findings if finding.level is not Level.OK]
    assert finding.remedy
    return finding.level.value, finding.text


def test_the_worst_finding_decides():
    ok, warning, error = (Finding(level, "x", "y") for level in Level)
    assert (worst([]), worst([ok]), worst([warning, ok]), worst([ok, error, warning])) == (
        Level.OK, Level.OK, Level.WARNING, Level.ERROR,
    )  # fmt: skip


# Redis


@pytest.mark.parametrize(
    ("health", "level", "words"),
    [
        ({"version": "6.2.14"}, "error", "version 6.2.14"),
        ({"version": "unknown"}, "error", "version unknown"),
        ({"loading": True}, "warning", "still reads its data"),
        ({"role": "slave"}, "error", "this is a replica"),
        ({"maxmemory_policy": "volatile-lru"}, "error", "volatile-lru"),
        ({"maxmemory_bytes": 100, "used_bytes": 79}, None, ""),
        ({"maxmemory_bytes": 100, "used_bytes": 80}, "warning", "80% of maxmemory"),
        ({"maxmemory_bytes": 100, "used_bytes": 100}, "error", "nothing new is admitted"),
        ({"appendonly": False, "snapshots": True}, "warning", "since the last snapshot"),
        ({"appendonly": False, "snapshots": False}, "warning", "loses everything"),
        ({"appendfsync": "no"}, "warning", "half a minute"),
        ({"appendfsync": "always"}, None, ""),
        ({"appendfsync": None}, None, ""),
        ({"aof_write_ok": False}, "error", "refuses writes"),
        ({"aof_rewrite_ok": False}, "error", "so it grows"),
        ({"snapshot_ok": False}, "error", "last snapshot failed"),
        ({"replicas": (1, 10)}, None, ""),
        ({"replicas": (1, 11)}, "warning", "1 of 2 replicas were last heard of 11 s ago"),
        ({"ahead_s": 2.0}, None, ""),
        ({"ahead_s": -2.5}, "warning", "2.5 s behind this machine's"),
        ({"ahead_s": 60.0}, "warning", "60.0 s ahead of this machine's"),
        ({"libraries": {"crawl_ledger_1": "same", "crawl_slots_1": "missing"}}, None, ""),
        ({"libraries": {"crawl_ledger_1": "other"}}, "warning", "another version"),
    ],
)
def test_redis(health, level, words):
    findings = check_redis.check(RedisHealth(**{"version": "7.0.15", **SOUND, **health}))
    assert findings[0].level is Level.OK
    if level is None:
        assert bad(findings) == []
    else:
        how_bad, text = only(findings)
        assert (how_bad, words in text) == (level, True)


def test_what_a_crash_of_redis_costs_is_told():
    (everysec,) = check_redis.check(RedisHealth(version="7.2.0", appendfsync="everysec"))
    (always,) = check_redis.check(RedisHealth(version="7.2.0", appendfsync="always"))
    assert "may cost the last second" in everysec.text
    assert "costs nothing" in always.text


# the ledger


def ledger(*, open=0, ended=0, debts=None, members=None, alive=("crawl-consumer@host:1:a",), **counts):  # noqa: A002
    counts = {"outcome:ok": ended, "discovered": open + ended, **counts}
    return LedgerFacts(
        LedgerName("c"),
        Progress(open + ended, open, 0, counts),
        LedgerDebts(alive=alive, **(debts or {})),
        members,
        ("q",),
    )


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (ledger(open=3, ended=4), None, ""),
        (ledger(open=3, alive=()), "warning", "3 URLs are open and no consumer runs"),
        (ledger(open=3, alive=("crawl-seed@host:1:a",)), "warning", "no consumer runs"),
        (ledger(ended=3, alive=()), None, ""),
        (ledger(open=1, debts={"outboxes": 2, "oldest_outbox_s": 59}), None, ""),
        (ledger(open=1, debts={"outboxes": 2, "oldest_outbox_s": 61}), "warning", "2 pages have links"),
        (ledger(open=1, debts={"leases": 9, "dead_leases": 9}), None, ""),
        (ledger(open=2, ended=3, **{"outcome:ok": 2}), "error", "5 admitted are not 2 open and 2 ended"),
        (ledger(ended=5, duplicate=2, discovered=6), "error", "6 discovered are not admitted"),
        (ledger(ended=5, duplicate=2, adopted=1, discovered=9, **{"filtered:depth": 3}), None, ""),
        (ledger(open=1, ended=2, members=Members(1, 2)), None, ""),
        (ledger(open=1, ended=2, members=Members(2, 2)), "error", "the sets hold 2 and 2"),
    ],
)
def test_ledger(facts, level, words):
    findings = check_ledger.check(facts)
    if level is None:
        assert bad(findings) == []
    else:
        how_bad, text = only(findings)
        assert (how_bad, words in text) == (level, True)


def test_leases_of_the_dead_are_told_but_hurt_nobody():
    findings = check_ledger.check(ledger(open=9, debts={"leases": 5, "dead_leases": 3}))
    assert [finding.level for finding in findings] == [Level.OK, Level.OK]
    assert "2 in hand" in findings[0].text
    assert findings[1].text.startswith("3 URLs were in the hands of consumers that are gone")


# the balance


def look(facts, ready=0, unacked=0, consumers=0, ladder=0, dead=(0, 0, 0), letters=None):
    queues = {
        "q": QueueFacts("q", ready, consumers, unacked),
        "q.due": QueueFacts("q.due", 0, consumers, 0),
        "dead.q": QueueFacts("dead.q", *dead),
        "crawl.delay.250": QueueFacts("crawl.delay.250", ladder, 0, 0),
    }
    return Look((facts,), queues, {} if letters is None else {"q": letters})


def balance(first, second=None, journal=True):
    return bad(check_balance.check(first, second or first, journals={"c": journal}))


def test_messages_for_all_open_urls_are_in_balance_wherever_they_are():
    assert balance(look(ledger(open=10), ready=10)) == []
    assert balance(look(ledger(open=10), ready=4, unacked=6, consumers=1)) == []
    assert balance(look(ledger(open=10, debts={"outboxes": 1, "outbox_messages": 9}))) == []
    assert balance(look(ledger(open=10), ready=4, ladder=6)) == []
    assert balance(look(ledger(open=1), ready=10)) == []  # copies of what has ended


def test_what_both_looks_miss_is_lost():
    ((level, subject, text),) = balance(look(ledger(open=10), ready=7))
    assert (level, subject, "at least 3 open URLs" in text) == ("error", "c/main", True)
    assert balance(look(ledger(open=10), ready=7), look(ledger(open=10), ready=10)) == []
    assert balance(look(ledger(open=10), ready=10), look(ledger(open=10), ready=7)) == []


def test_what_is_on_the_ladder_may_be_anybodys():
    assert balance(look(ledger(open=10), ladder=10)) == []
    assert "at least 2 open URLs" in balance(look(ledger(open=10), ladder=8))[0][2]
    waiting = look(ledger(open=10), ladder=8)
    on_their_way = replace(waiting.queues["crawl.delay.250"], held=2)
    assert balance(replace(waiting, queues={**waiting.queues, "crawl.delay.250": on_their_way})) == []


def test_what_a_work_queue_has_on_its_way_to_the_dead_letters_is_a_message_too():
    """RabbitMQ counts it neither as ready nor as in hand, until the dead letters' queue has confirmed it."""
    first = look(ledger(open=10), ready=7)
    for queue in ("q", "q.due"):
        dying = replace(first.queues[queue], held=3)
        assert balance(replace(first, queues={**first.queues, queue: dying})) == []


def test_what_moved_between_the_looks_may_have_been_missed_by_both():
    first, second = look(ledger(open=10), ready=5, consumers=1), look(ledger(open=7, ended=3), ready=2, consumers=1)
    assert "at least 2 open URLs" in balance(first, second)[0][2]
    first, second = look(ledger(open=10), ready=5, consumers=1), look(ledger(open=5, ended=5), consumers=1)
    assert balance(first, second) == []


def test_an_old_count_of_what_was_in_hand_hides_nothing():
    """The management API tells at the first look what consumers had that are gone, and have settled it."""
    first, second = look(ledger(open=1), unacked=4), look(ledger(open=1), unacked=0)
    assert check_balance.suspicious(first)
    assert "at least 1 open URLs" in balance(first, second)[0][2]


def test_open_urls_among_the_dead_letters_have_a_message_and_no_other_letter_counts():
    assert balance(look(ledger(open=10), letters=DeadFacts(open=10))) == []
    ((level, _, text),) = balance(look(ledger(open=10), letters=DeadFacts(open=6)))
    assert (level, "at least 4 open URLs" in text) == ("error", True)


def test_a_dead_letter_that_nobody_looked_at_may_be_anybodys():
    many = look(ledger(open=10), letters=DeadFacts(open=2, unread=5))
    assert "at least 3 open URLs" in balance(many)[0][2]
    enough = look(ledger(open=10), letters=DeadFacts(open=2, unread=8))
    [finding] = check_balance.check(enough, enough, journals={})
    assert (finding.level, finding.command) == (Level.WARNING, "crawl-doctor c --deep")
    assert "8 open URLs have no message, unless they are among 8 dead letters" in finding.text


def test_letters_are_read_where_they_may_matter_and_nowhere_else():
    letters, none = (3, 0, 0), (0, 0, 0)

    def wanted(*args, **more):
        return check_balance.letters_that_matter(look(*args, **more))

    assert wanted(ledger(open=10), ready=7, dead=letters) == ["q"]
    assert wanted(ledger(open=10), ready=7, dead=none) == []
    assert wanted(ledger(open=10), ready=10, dead=letters) == []
    # What is in hand may be settled, and not yet counted as such.
    assert wanted(ledger(open=10), ready=7, unacked=3, consumers=1, dead=letters) == ["q"]
    # Another reader has them.
    assert wanted(ledger(open=10), ready=7, dead=(0, 1, 3)) == ["q"]


def test_letters_in_another_readers_hands_cannot_be_counted_without_the_management_api():
    ((level, _, text),) = balance(look(ledger(open=1), dead=(0, 1, None)))
    assert (level, "cannot be told" in text) == ("warning", True)


def test_without_the_management_api_only_a_crawl_that_rests_can_be_counted():
    assert "at least 3" in balance(look(ledger(open=10), ready=7, unacked=None))[0][2]
    ((level, _, text),) = balance(look(ledger(open=10), ready=7, unacked=None, consumers=2))
    assert (level, "cannot be told" in text) == ("warning", True)


def test_the_remedy_depends_on_the_journal():
    def command(journal):
        lost = look(ledger(open=10))
        [finding] = check_balance.check(lost, lost, journals={"c": journal})
        return finding.command

    assert command(True) == "crawl-doctor c --repair"
    assert command(False) == "crawl-doctor c --repair --from FILE"


def test_two_crawls_cannot_both_have_the_same_messages_on_the_ladder():
    one, other = ledger(open=6), ledger(open=6)
    both = Look((one, other), look(one, ladder=8).queues)
    ((level, subject, text),) = bad(check_balance.check(both, both, journals={}))
    assert (level, subject, "at least 4 open URLs" in text) == ("error", "rabbitmq", True)


# queues


def queues(*facts, channels=()):
    broker = BrokerFacts({queue.name: queue for queue in facts}, channels=channels)
    return check_queues.check(broker, TOPOLOGY)


@pytest.mark.parametrize(
    ("queue", "level", "words"),
    [
        (QueueFacts("q", 5, 1), None, ""),
        (QueueFacts("q", 0, 0), None, ""),
        (QueueFacts("q", 5, 0), "warning", "5 URLs wait and nobody consumes it"),
        (QueueFacts("q.due", 5, 0), "warning", "5 URLs wait and nobody consumes it"),
        (QueueFacts("q", 90, 1, max_length=100), "warning", "90 of at most 100 URLs"),
        (QueueFacts("q", 89, 1, max_length=100), None, ""),
        (QueueFacts("q", 0, 1, delivery_limit=50), None, ""),
        (QueueFacts("q", 0, 1, delivery_limit=5, policy="strict"), "warning", "strict"),
        (QueueFacts("found.all", 89, 0, max_length=100), None, ""),
        (QueueFacts("found.all", 90, 0, max_length=100), "warning", "90 of at most 100 items, nobody reads them"),
        (QueueFacts("found.all", 90, 2, max_length=100), "warning", "90 of at most 100 items, 2 readers"),
        (QueueFacts("dead.q", 999), None, ""),
        (QueueFacts("dead.q", 1000), "warning", "1,000 URLs have failed for good"),
        (QueueFacts("crawl.unrouted", 1), "warning", "outlived the queue"),
        (QueueFacts("crawl.delay.250", 1), None, ""),
        (QueueFacts("q", 0, 1, policy="ha", mirrored=True), "warning", "the policy ha mirrors it"),
        (QueueFacts("q", 0, 1, members=3, online=3), None, ""),
        (QueueFacts("q", 0, 1, members=3, online=2), "warning", "2 of its 3 members run"),
        (QueueFacts("q", 0, 1, members=3, online=1), "error", "without a majority"),
    ],
)
def test_queue(queue, level, words):
    findings = queues(queue)
    if level is None:
        assert bad(findings) == []
    else:
        how_bad, text = only(findings)
        assert (how_bad, words in text) == (level, True)


@pytest.mark.parametrize(
    ("inbox", "dead", "level", "text", "command"),
    [
        (QueueFacts("in"), 0, "ok", "0 messages wait, 0 dead letters, served by nobody", ""),
        (QueueFacts("in", 7, 2), 0, "ok", "7 messages wait, 0 dead letters, served by 2 crawl-seed", ""),
        (QueueFacts("in", 7), 0, "warning", "7 messages wait", "crawl-seed --inbox in --follow"),
        (QueueFacts("in", 7), 1, "warning", "7 messages wait, 1 dead letters", "crawl-seed --inbox in --follow"),
        (QueueFacts("in", 0, 1), 1, "warning", "0 messages wait, 1 dead letters", "crawl-dead list --queue in"),
    ],
)
def test_an_inbox_is_told_of_whether_all_is_well_or_not(inbox, dead, level, text, command):
    all_is_well, told = queues(inbox, QueueFacts("dead.in", dead))
    assert (all_is_well.level, all_is_well.subject) == (Level.OK, "rabbitmq")
    assert (told.level.value, told.subject, told.command) == (level, "in", command)
    assert told.text.startswith(text)
    assert bool(told.remedy) == (level != "ok")


def test_the_dead_letters_of_an_inbox_are_told_of_once_and_its_delivery_limit_as_any_other():
    findings = queues(QueueFacts("in", 0, 1, delivery_limit=5, policy="strict"), QueueFacts("dead.in", 5000))
    assert [(subject, text[:9]) for _, subject, text in bad(findings)] == [("in", "a policy "), ("in", "0 message")]


def test_silence_on_a_channel_is_measured_against_the_consumer_timeout():
    def told(idle_s, **queue):
        return bad(queues(QueueFacts("q", 0, 1, **queue), channels=(ChannelFacts("crawl-consumer@a", 3, idle_s),)))

    assert told(899) == []
    assert "silent for 900 s; after 1,800 s" in told(900)[0][2]
    assert "after 60 s" in told(31, consumer_timeout_ms=60_000)[0][2]


# delays that hold on to what is over


RUNG = QueueFacts("crawl.delay.500", held=54, members=3, online=2, followers=("rabbit@b",))


def looks_at(*queues):
    return [{queue.name: queue} for queue in queues]


def held(*queues, version="3.10.8", vhost="/"):
    """What is found when these were seen one after the other, and before them the first as often as it takes."""
    looks = looks_at(*queues[:1] * (check_held.LOOKS - len(queues)), *queues)
    return check_held.check(looks, version=version, vhost=vhost)


def test_a_queue_that_lacks_a_member_and_gives_nothing_away_between_any_two_looks_holds_on_to_it():
    for looks in range(1, check_held.LOOKS):
        assert check_held.suspicious(looks_at(RUNG) * looks, "3.10.8")
        assert check_held.check(looks_at(RUNG) * looks, version="3.10.8", vhost="/") == []  # so few prove nothing
    assert not check_held.suspicious(looks_at(RUNG) * check_held.LOOKS, "3.10.8")
    (finding,) = held(RUNG, replace(RUNG, held=56))
    assert (finding.level, finding.subject) == (Level.ERROR, "crawl.delay.500")
    assert finding.text.startswith("56 messages ought to have left it")


@pytest.mark.parametrize(
    "changes", [{"held": 53}, {"held": 0}, {"online": 3}], ids=["it gives some away", "all", "its members are there"]
)
def test_a_queue_whose_messages_are_on_their_way_holds_on_to_nothing(changes):
    assert held(RUNG, replace(RUNG, **changes)) == []
    assert not check_held.suspicious(looks_at(RUNG, replace(RUNG, **changes)), "3.10.8")


def test_a_busy_queue_that_gives_some_away_at_one_look_of_five_holds_on_to_nothing():
    assert held(*(replace(RUNG, held=number) for number in (3, 9, 9, 8, 30))) == []
    assert len(held(*(replace(RUNG, held=number) for number in (3, 9, 9, 9, 30)))) == 1


def test_a_queue_that_was_made_meanwhile_holds_on_to_nothing():
    assert check_held.check([{}, *looks_at(RUNG) * (check_held.LOOKS - 1)], version="3.10.8", vhost="/") == []


@pytest.mark.parametrize(("version", "holds"), [("3.10.8", 1), ("3.12.4", 1), ("3.12.5", 0), ("4.0.5", 0), (None, 1)])
def test_only_a_rabbitmq_before_it_was_mended_holds_on_to_messages(version, holds):
    assert check_held.suspicious(looks_at(RUNG), version) is bool(holds)
    assert len(held(RUNG, version=version)) == holds


def test_the_command_that_moves_the_leader_survives_the_shell_and_erlang():
    (finding,) = held(RUNG, vhost='Eve\'s "crawl" \\')  # a quote for the shell, two and a backslash for Erlang
    program, command, erlang = shlex.split(finding.command)
    assert (program, command) == ("rabbitmqctl", "eval")
    assert r"""<<"Eve's \"crawl\" \\"/utf8>>""" in erlang
    assert 'list_to_atom("rabbit@b")' in erlang


def test_without_a_node_that_could_lead_there_is_no_command():
    alone = replace(RUNG, online=1, followers=())
    (finding,) = held(alone)
    assert (finding.command, bool(finding.remedy)) == ("", True)


# nodes


def nodes(*facts, **broker):
    return check_nodes.check(
        BrokerFacts({}, **{"management": "http://x", "version": "4.1.0", "nodes": facts, **broker})
    )


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (NodeFacts("a", running=False), "a does not run"),
        (NodeFacts("a", memory_alarm=True), "a is short of memory"),
        (NodeFacts("a", disk_alarm=True), "a is short of disk"),
        (NodeFacts("a", partitions=("b", "c")), "a is cut off from b, c"),
    ],
)
def test_a_node(node, words):
    level, text = only(nodes(node, NodeFacts("b")))
    assert (level, words in text) == ("error", True)


def test_versions_that_cannot_work_are_errors_and_old_ones_are_told():
    assert only(nodes(version="3.9.29"))[0] == "error"
    assert bad(nodes(version="3.10.8")) == bad(nodes(version="4.0.5")) == bad(nodes(version="4.x-beta")) == []
    assert "no security fixes" in nodes(version="3.13.7")[1].text


def test_blocked_connections_are_named_and_the_rest_is_counted():
    assert bad(nodes(blocked=("a", "b", "c", "d", "e")))[0][2].endswith("a, b, c and 2 more")


def test_without_the_management_api_that_is_the_finding():
    (finding,) = check_nodes.check(BrokerFacts({}))
    assert (finding.level, "cannot be asked" in finding.text) == (Level.WARNING, True)


# the topology


def test_drift_is_told_in_the_brokers_own_words_and_missing_things_are_named():
    steps = [
        Step(Exchange("x", "direct"), State.SAME),
        Step(Queue("q"), State.DIFFERENT, "inequivalent arg"),
        *(Step(Queue(f"m{n}"), State.MISSING) for n in range(7)),
    ]
    missing, different = check_topology.check(Plan(Declarations((), (), ()), tuple(steps)))
    assert (missing.level, "m0, m1, m2, m3, m4 and 2 more" in missing.text) == (Level.ERROR, True)
    assert missing.command == "crawl-topology apply"
    assert (different.level, "queue q" in different.text, "inequivalent arg" in different.text) == (
        Level.ERROR, True, True,
    )  # fmt: skip
    (same,) = check_topology.check(Plan(Declarations((), (), ()), tuple(steps[:1])))
    assert same.level is Level.OK
