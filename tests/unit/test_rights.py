"""The users' rights: all that the file names and our programs use, and nothing that only looks like it."""

import re

import pytest

from crawl_dedup import LedgerRefused, redis_names
from crawl_dedup.ledger import LedgerName
from crawl_dedup.redis_open import function_libraries
from crawl_producer import names
from crawl_producer.derive import declarations
from crawl_producer.render import permissions, redis_acl
from crawl_producer.rights import CONSUMER, OPERATOR, READER, SEED, in_rabbitmq, in_redis
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "redis": {"url": "redis://:secret-word@redis1:6379/3"},
        "exchanges": {"crawl.docs": {"type": "direct"}, "x": {"type": "fanout"}},
        "queues": {
            "docs.pages": {"crawl": "docs", "bindings": [{"exchange": "crawl.docs", "key": "page"}]},
            "m:a": {"crawl": "m", "group": "a", "bindings": [{"exchange": "x"}], "outputs": ["redis:m items*"]},
        },
        "crawls": {
            "docs": {"exchange": "crawl.docs", "key": "page", "journal": True, "outputs": ["redis:docs:items"]},
            "m": {"exchange": "x"},
        },
        "inboxes": {"docs.inbox": {"crawl": "docs"}},
        "items": {"docs.items": {"queues": {"docs.found": {}}}},
    }
)
RABBIT = {rights.user: rights for rights in in_rabbitmq(TOPOLOGY)}
REDIS = {rights.user: rights for rights in in_redis(TOPOLOGY)}
EVERY_NAME = {thing.name for kind in ("exchanges", "queues") for thing in getattr(declarations(TOPOLOGY), kind)}


def matched(pattern, among=EVERY_NAME):
    """RabbitMQ searches, as this does (https://www.rabbitmq.com/docs/access-control)."""
    return {name for name in among if re.search(pattern, name)}


def ladder():
    return {name for name in EVERY_NAME if name.startswith("crawl.delay.")}


def test_the_operator_may_do_all_with_what_the_file_declares_and_nothing_with_anything_else():
    rights = RABBIT[OPERATOR]
    near = {"", "docs.page", "docs.pages2", "xdocs.pages", "docsXpages", "crawl.delay.", "crawl.delay.x", "amq.direct"}
    for pattern in (rights.configure, rights.write, rights.read):
        assert matched(pattern) == EVERY_NAME
        assert matched(pattern, near) == set()
    assert rights.tags == ("monitoring",)


def test_seeds_are_published_and_inboxes_read():
    rights = RABBIT[SEED]
    assert matched(rights.configure) == set()
    assert matched(rights.write) == {"crawl.docs", "x", names.DEAD} | ladder()
    assert matched(rights.read) == {"docs.inbox"}


def test_consumers_read_work_queues_and_publish_links_delays_letters_and_items():
    rights = RABBIT[CONSUMER]
    assert matched(rights.configure) == set()
    assert matched(rights.write) == {"crawl.docs", "x", names.DEAD, "docs.items"} | ladder()
    assert matched(rights.read) == {"docs.pages", "docs.pages.due", "m:a", "m:a.due"}


def test_readers_read_items_and_there_is_no_such_user_without_items():
    rights = RABBIT[READER]
    assert [matched(p) for p in (rights.configure, rights.write, rights.read)] == [set(), set(), {"docs.found"}]
    plain = TOPOLOGY.model_copy(update={"items": {}, "inboxes": {}})
    assert [rights.user for rights in in_rabbitmq(plain)] == [SEED, CONSUMER, OPERATOR]
    assert names.DEAD not in matched(in_rabbitmq(plain)[0].write)


def test_each_permission_is_one_line_of_shell():
    lines = [line for rights in RABBIT.values() for line in permissions(rights, "/")]
    assert len(lines) == len(RABBIT) + 1
    assert lines[0].startswith("rabbitmqctl set_permissions -p / crawl-seed '^$' '^(crawl\\.docs|x|")


def test_keys_are_those_of_the_ledgers_of_the_file():
    ledgers = {redis_names.prefix(LedgerName(*name)) + "*" for name in (("docs", "main"), ("m", "a"))}
    assert set(REDIS[SEED].keys) == ledgers
    lists = {"docs:items", "docs:items:last:*", "m?items?", "m?items?:last:*"}
    assert set(REDIS[CONSUMER].keys) == ledgers | {"crawl:robots:*", "crawl:host:*"} | lists
    assert REDIS[OPERATOR].keys == ("crawl:*",)


@pytest.mark.parametrize("user", [SEED, CONSUMER, OPERATOR])
def test_commands_that_reach_beyond_ones_keys_are_nobodys(user):
    for command in ("eval", "evalsha", "script", "config", "flushall", "keys", "acl", "client", "function", "all"):
        assert command not in REDIS[user].commands
    assert ("function|load" in REDIS[user].commands) == ("scan" in REDIS[user].commands) == (user == OPERATOR)
    assert "select" in REDIS[user].commands  # the URL names database 3


def test_every_command_in_the_code_of_the_functions_is_found():
    called = sum(code.count("redis.call(") for code in function_libraries().values())
    read = sum(len(re.findall(r"redis\.call\('[A-Z]+'", code)) for code in function_libraries().values())
    assert called == read > 50
    assert "rpush" in REDIS[CONSUMER].commands
    assert "rpush" not in REDIS[SEED].commands


def test_the_commands_for_redis_hold_no_password_and_take_none_away():
    text = redis_acl(REDIS.values())
    assert text.startswith("ACL SETUSER crawl-seed on resetkeys resetchannels -@all ~crawl:{docs/main}:* ")
    assert "secret-word" not in text
    assert not re.search(r"[<>#]|nopass|resetpass", text)


def test_a_redis_that_cannot_be_found_is_said_without_its_url():
    broken = TOPOLOGY.model_copy(
        update={"redis": TOPOLOGY.redis.model_validate({"url": "redis://:secret-word@h:port/0"})}
    )
    with pytest.raises(LedgerRefused) as refused:
        in_redis(broken)
    assert "secret-word" not in f"{refused.value} {refused.value.remedy}"
    assert refused.value.__cause__ is None
