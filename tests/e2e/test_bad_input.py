"""Bad input and missing servers: one clear line, a remedy, an exit code of its own, and no traceback."""

import json

import pytest

from crawl_dev.redis_server import RedisServer
from e2e_kit import Commands

EVERY = [
    ("crawl-seed", "--crawl", "docs", "https://example.org/"),
    ("crawl-consumer", "--queue", "docs.*", "--until-done"),
    ("crawl-status", "docs"),
    ("crawl-forget", "docs", "--yes", "--purge-queues"),
    ("crawl-topology", "apply"),
]
USE_REDIS = EVERY[:-1]


@pytest.fixture
def commands(environment, tmp_path):
    commands = Commands(environment, tmp_path)
    yield commands
    commands.stop()


def said(commands, command, code, **environment):
    """What a failing command says: at most its last two lines, without a traceback."""
    text = commands.run(*command, code=code, **environment)
    assert "Traceback" not in text
    *_, line, remedy = [one for one in text.splitlines() if one.strip()]
    assert line.startswith(command[0] + ": "), text
    assert remedy.startswith("  remedy: "), text
    return line + remedy


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_rabbitmq_is_down(commands, command):
    line = said(commands, command, 4, CRAWL_RABBITMQ_NODES="127.0.0.1:9,no-such-host.invalid:5672")
    assert "127.0.0.1:9" in line
    assert "no-such-host.invalid:5672" in line


@pytest.mark.parametrize("command", USE_REDIS, ids=lambda c: c[0])
def test_redis_is_down(commands, command):
    commands.run("crawl-topology", "apply")
    assert "127.0.0.1:9" in said(commands, command, 6, CRAWL_REDIS_URL="redis://:secret@127.0.0.1:9/0")


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_wrong_password_for_rabbitmq(commands, command):
    text = said(commands, command, 5, CRAWL_RABBITMQ_PASSWORD="wrong-secret")
    assert "guest" in text
    assert "wrong-secret" not in text


@pytest.mark.parametrize("command", EVERY, ids=lambda c: c[0])
def test_wrong_virtual_host(commands, command):
    assert "nowhere" in said(commands, command, 5, CRAWL_RABBITMQ_VHOST="nowhere")


def test_passwords_are_never_printed_even_when_debugging(commands):
    url = "redis://user:s3cret@127.0.0.1:9/0"
    text = commands.run("crawl-status", "docs", "--debug", code=6, CRAWL_REDIS_URL=url)
    assert "Traceback" in text
    assert "s3cret" not in text


def test_the_topology_was_never_applied(commands):
    assert "crawl-topology apply" in said(commands, EVERY[1], 11)
    assert "crawl-topology apply" in said(commands, EVERY[0], 11)


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("crawl-consumer", "--queue", "new.*"), "news.front"),
        (("crawl-seed", "--crawl", "doc", "https://example.org/"), "docs"),
        (("crawl-seed", "https://example.org/"), "docs"),
        (("crawl-status", "doc"), "docs"),
        (("crawl-forget", "doc", "--yes"), "docs"),
        (("crawl-seed", "--crawl", "docs", "--exchange", "crawl.doc", "https://example.org/"), "crawl.docs"),
    ],
    ids=str,
)
def test_an_unknown_name_is_an_error_that_lists_the_names(commands, command, names):
    assert names in said(commands, command, 9)


def test_broken_yaml_is_named_with_its_line(commands, tmp_path):
    (tmp_path / "bad.yaml").write_text("exchanges: {x: {type: topic}\nqueues: [")
    text = commands.run("crawl-topology", "check", "--topology", "bad.yaml", code=3)
    assert "bad.yaml:2: " in text


def test_an_unknown_key_is_named_with_its_path_and_what_would_be_right(commands, tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "exchanges: {x: {type: direct}}\n"
        "queues: {q: {crawl: c, bindngs: [{exchange: x, key: k}]}}\n"
        "crawls: {c: {exchange: x, key: k}}\n"
    )
    text = commands.run("crawl-seed", "--topology", "bad.yaml", "https://example.org/", code=3)
    assert "queues.q.bindngs" in text
    assert "bindings" in text


@pytest.fixture
def other_redis(tmp_path):
    """A Redis that evicts keys."""
    from crawl_dev.ports import free_ports

    server = RedisServer(tmp_path / "redis", free_ports(1)[0])
    server.configure({"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"})
    server.start()
    server.wait_ready()
    yield server
    server.kill()


def test_a_redis_that_evicts_is_refused(commands, other_redis):
    commands.run("crawl-topology", "apply")
    for command in USE_REDIS:
        assert "noeviction" in said(commands, command, 7, CRAWL_REDIS_URL=other_redis.url)


def test_a_crawl_begun_under_other_rules_cannot_be_joined(commands, redis_server):
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", "https://example.org/")
    redis_server.command("HSET crawl:{docs/main}:meta canonicaliser 0")
    for command in EVERY[:2]:
        text = said(commands, command, 8)
        assert "docs/main" in text
        assert "canonicaliser" in text


@pytest.mark.parametrize(
    ("spider", "reason"),
    [("nonsense", "module:Class"), ("missing:Spider", "missing"), ("broken:Spider", "broken.py:1")],
)
def test_a_spider_that_cannot_be_loaded(commands, tmp_path, spider, reason):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    assert reason in said(commands, (*EVERY[1], "--spider", spider), 13)


def test_an_output_that_cannot_be_written(commands):
    commands.run("crawl-topology", "apply")
    assert "/proc/nothing" in said(commands, (*EVERY[1], "--output", "/proc/nothing/x.jsonl"), 12)


def test_waiting_for_a_crawl_that_was_never_seeded(commands):
    commands.run("crawl-topology", "apply")
    assert "crawl-seed --crawl docs" in said(commands, ("crawl-status", "docs", "--wait"), 15)


def test_waiting_has_a_limit(commands):
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", "https://example.org/")
    said(commands, ("crawl-status", "docs", "--wait", "--timeout", "0"), 14)


@pytest.mark.parametrize("file", ["missing.txt", "damaged.gz"])
def test_a_file_of_urls_that_cannot_be_read(commands, tmp_path, file):
    (tmp_path / "damaged.gz").write_bytes(b"\x1f\x8bnonsense")
    commands.run("crawl-topology", "apply")
    assert file in said(commands, ("crawl-seed", "--crawl", "docs", "--file", file), 2)


def test_json_answers_are_json_and_nothing_else(commands):
    commands.run("crawl-topology", "apply")
    report = json.loads(commands.run("crawl-seed", "--crawl", "docs", "--json", "https://example.org/"))
    assert report["admitted"] == 1
    assert json.loads(commands.run("crawl-status", "--json"))[0]["crawl"] == "news"
