"""Seeds, killed and run again: nothing lost, nothing doubled."""

import json
import signal
import time

import pytest

from e2e_kit import Commands, wait_until

URLS = 30_000


@pytest.fixture
def commands(environment, tmp_path):
    commands = Commands(environment, tmp_path)
    commands.run("crawl-topology", "apply")
    (tmp_path / "urls.txt").write_text("".join(f"https://example.org/{n}\n" for n in range(URLS)))
    yield commands
    print(commands.stop())


def seed(commands, *options, code=0):
    return json.loads(commands.run("crawl-seed", "--crawl", "docs", "--json", *options, code=code))


def test_a_seeder_that_is_killed_and_run_again_loses_and_doubles_nothing(commands, redis_server):
    first = commands.start("crawl-seed", "--crawl", "docs", "--file", "urls.txt")
    wait_until(lambda: redis_server.command("EXISTS crawl:{docs/main}:counts") == ":1", "the first seeds")
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    before = commands.status()["admitted"]
    assert before < URLS

    again = seed(commands, "--file", "urls.txt")

    assert again["admitted"] == URLS - before
    # Batches whose outbox the killed run had left are published again: RabbitMQ may hold a URL twice, the books once.
    assert again["duplicate"] + again["resumed"] == before
    books = commands.status()
    assert (books["admitted"], books["done"]) == (URLS, 0)
    assert URLS <= books["waiting"] <= URLS + again["resumed"]


def test_the_same_file_twice_changes_nothing(commands):
    assert seed(commands, "--file", "urls.txt")["admitted"] == URLS
    again = seed(commands, "--file", "urls.txt")
    assert (again["admitted"], again["duplicate"]) == (0, URLS)
    assert commands.status()["waiting"] == URLS


def test_what_is_no_url_is_told_with_its_line_and_nothing_else_is_lost(commands, tmp_path):
    (tmp_path / "mixed.txt").write_text(
        "https://example.org/a\nnonsense\n\nftp://example.org/\nhttps://example.org/a#x\n"
    )
    said = commands.run("crawl-seed", "--crawl", "docs", "--file", "mixed.txt", "--rejected", "bad.jsonl", code=10)
    assert "line 2: syntax: 'nonsense'" in said
    assert "line 4: scheme: 'ftp://example.org/'" in said
    bad = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(b["line"], b["reason"]) for b in bad] == [(2, "syntax"), (4, "scheme")]
    assert commands.status()["admitted"] == 1


def test_standard_input_and_arguments_are_sources_too(commands):
    commands.run("crawl-seed", "--crawl", "docs", stdin="https://example.org/in\n")
    commands.run("crawl-seed", "--crawl", "docs", "https://example.org/arg", "https://example.org/in")
    assert commands.status()["admitted"] == 2


def test_a_dry_run_publishes_nothing(commands):
    assert "1 valid" in commands.run("crawl-seed", "--crawl", "docs", "--dry-run", "https://example.org/")
    assert commands.status()["state"] == "not started"


def test_a_key_that_leads_nowhere_is_refused_before_anything_is_admitted(commands):
    said = commands.run("crawl-seed", "--crawl", "docs", "--key", "pages", "https://example.org/", code=10)
    assert "no queue is bound to exchange 'crawl.docs' for the key 'pages'" in said
    assert "page" in said
    assert commands.status()["state"] == "not started"


def test_a_seed_of_two_groups_reaches_both_and_is_published_once(commands):
    commands.run("crawl-seed", "--crawl", "mirror", "https://example.org/a", "https://example.org/b")
    groups = json.loads(commands.run("crawl-status", "mirror", "--json"))
    assert [(g["group"], g["admitted"], g["waiting"]) for g in groups] == [("archive", 2, 2), ("linkcheck", 2, 2)]


def test_forgetting_a_crawl_makes_its_seeds_new_again(commands):
    commands.run("crawl-seed", "--crawl", "docs", "https://example.org/")
    commands.run("crawl-forget", "docs", stdin="n\n", code=2)
    assert commands.status()["admitted"] == 1
    forgot = json.loads(commands.run("crawl-forget", "docs", "--purge-queues", "--yes", "--json"))
    assert forgot["purged"]["docs.pages"] == 1
    assert commands.status()["state"] == "not started"
    assert seed(commands, "https://example.org/")["admitted"] == 1


def test_seeds_that_no_queue_wants_are_kept_until_there_is_one(commands, rabbit, fresh_vhost):
    rabbit.ctl("--vhost", fresh_vhost, "delete_queue", "docs.pages")
    said = commands.run("crawl-seed", "--crawl", "docs", "https://example.org/a", code=10)
    assert "unroutable: " in said
    assert "crawl.docs" in said
    assert "crawl-topology apply" in said
    commands.run("crawl-topology", "apply")
    assert seed(commands, "https://example.org/a")["resumed"] == 1
    books = commands.status()
    assert (books["admitted"], books["waiting"]) == (1, 1)


def test_delayed_seeds_wait_in_the_ladder_and_reach_every_group(commands):
    begun_s = time.time()
    commands.run("crawl-seed", "--crawl", "mirror", "--delay", "2s", "https://example.org/a", "https://example.org/b")

    def groups():
        return [(g["admitted"], g["waiting"]) for g in json.loads(commands.run("crawl-status", "mirror", "--json"))]

    wait_until(lambda: groups() == [(2, 2), (2, 2)], "the ladder to give the seeds back")
    # The first hop is shorter than the wait; the rest is for the consumer that finds them too early.
    assert time.time() - begun_s >= 1
    commands.run("crawl-seed", "--crawl", "mirror", "--delay", "2s", "https://example.org/a", "https://example.org/b")
    assert groups() == [(2, 2), (2, 2)]


def test_times_that_contradict_each_other_or_are_none_are_refused(commands):
    late = ("--delay", "3h", "--expires", "2h", "https://example.org/")
    assert "expire before they may be fetched" in commands.run("crawl-seed", "--crawl", "docs", *late, code=2)
    said = commands.run("crawl-seed", "--crawl", "docs", "--eta", "2026-12-01T08:00", "https://example.org/", code=2)
    assert "names no time zone" in said
    assert commands.status()["state"] == "not started"


def test_a_seed_whose_time_is_over_is_not_fetched(commands):
    commands.run("crawl-seed", "--crawl", "docs", "--expires", "1ms", "http://127.0.0.1:1/")
    commands.run("crawl-consumer", "--queue", "docs.*", "--until-done", "--quiet")
    assert commands.status()["outcomes"] == {"expired": 1}
