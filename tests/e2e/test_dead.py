"""crawl-dead with real servers: thousands of URLs fail, are looked at, replayed under kill -9, and dropped."""

import json
import signal
import socket
from collections import Counter

import pytest

from e2e_kit import Commands, wait_until

#: More than one channel takes.
URLS = 2300
TOPOLOGY = """
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
# Without robots.txt: where nobody answers, obeying it means to wait.
crawls: {docs: {exchange: crawl.docs, key: page, retry: {max_attempts: 1}, robots: {obey: false}}}
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def nobody():
    """A port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def commands(environment, tmp_path, nobody):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    (tmp_path / "urls.txt").write_text("".join(f"http://127.0.0.1:{nobody}/{n}\n" for n in range(URLS)))
    commands = Commands(environment, tmp_path)
    commands.run("crawl-topology", "apply")
    yield commands
    print(commands.stop())


def crawl(commands):
    commands.run("crawl-consumer", "--queue", "docs.*", "--until-done", "--quiet", "--concurrency", "64")


def dead(commands, verb, *options, code=0):
    return json.loads(commands.run("crawl-dead", verb, *options, "--json", code=code))


def listed(commands, *options):
    return [json.loads(line) for line in commands.run("crawl-dead", "list", "--json", *options).splitlines()]


def test_failed_urls_are_listed_replayed_under_kill_9_and_dropped(commands, redis_server):
    def still_open():
        # An increment by nothing: its answer is one line, as ``command`` reads it.
        return int(redis_server.command("HINCRBY crawl:{docs/main}:counts open 0").removeprefix(":"))

    commands.run("crawl-seed", "--crawl", "docs", "--file", "urls.txt")
    crawl(commands)
    assert commands.status()["outcomes"] == {"failed_connect": URLS}

    stats = dead(commands, "stats", "--newer-than", "1h")
    assert (stats["letters"], stats["reasons"], stats["hosts"]) == (
        URLS, {"connect": URLS}, {"127.0.0.1": URLS},
    )  # fmt: skip
    letters = listed(commands)
    assert len({letter["url"] for letter in letters}) == len(letters) == URLS
    assert Counter(letter["outcome"] for letter in letters) == {"failed_connect": URLS}
    assert len(listed(commands, "--limit", "7")) == 7
    assert listed(commands, "--older-than", "1h") == []
    (shown,) = dead(commands, "show", letters[-1]["url"])
    assert json.loads(shown["body"])["url"] == letters[-1]["url"]
    assert "no dead letter of" in commands.run("crawl-dead", "show", "https://example.org/", code=9)

    for batches in range(3):
        replay = commands.start("crawl-dead", "replay", "--yes")
        wait_until(lambda: still_open() > batches * 500, "some URLs to be reopened")  # noqa: B023 - awaited here
        replay.send_signal(signal.SIGKILL)
        assert replay.wait() == -signal.SIGKILL
        assert still_open() < URLS
    commands.run("crawl-dead", "replay", "--yes")
    books = commands.status()
    assert (books["dead"], books["admitted"], books["done"], books["outcomes"]) == (0, URLS, 0, {})

    crawl(commands)
    assert commands.status()["outcomes"] == {"failed_connect": URLS}
    again = listed(commands)
    assert {letter["url"] for letter in again} == {letter["url"] for letter in letters}
    # Copies that a killed replay had published twice were turned away: nothing was fetched twice.
    assert len(again) == URLS

    assert "nothing was changed" in commands.shell("echo n | crawl-dead drop 2>&1 || [ $? = 2 ]")
    assert dead(commands, "drop", "--yes", "--limit", "300")["dropped"] == 300
    assert dead(commands, "drop", "--yes", "--reason", "connect*")["dropped"] == URLS - 300
    assert (listed(commands), commands.status()["state"]) == ([], "complete")


def test_people_are_asked_with_the_number_of_letters_and_see_lines(commands, nobody):
    commands.run("crawl-seed", "--crawl", "docs", f"http://127.0.0.1:{nobody}/a", f"http://127.0.0.1:{nobody}/b")
    crawl(commands)
    lines = commands.run("crawl-dead", "list").splitlines()
    assert lines[0].split() == ["died", "(UTC)", "queue", "tries", "status", "reason", "url"]
    assert [line.split()[-1] for line in lines[1:]] == [f"http://127.0.0.1:{nobody}/{x}" for x in "ab"]
    assert "2 dead letters" in commands.run("crawl-dead", "stats")
    assert "failed_connect" in commands.run("crawl-dead", "show", f"http://127.0.0.1:{nobody}/a")
    asked = commands.shell("echo y | crawl-dead replay 2>&1")
    assert "Replay 2 dead letters?" in asked
    assert "2 replayed" in asked
