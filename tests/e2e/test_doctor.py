"""crawl-doctor with real servers: queues are purged and deleted under a crawl, and no URL is lost by it."""

import json
import signal
from collections import Counter

import pytest

from e2e_kit import Commands, wait_until
from tree_site import tree_site

PAGES = 600
LINKS = 6
TOPOLOGY = """
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
crawls: {docs: {exchange: crawl.docs, key: page, robots: {obey: false}, journal: true}}
"""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def site():
    with tree_site(PAGES, LINKS) as site:
        yield site


@pytest.fixture
def commands(environment, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    commands = Commands(environment, tmp_path)
    commands.run("crawl-topology", "apply")
    yield commands
    print(commands.stop())


def doctor(commands, *options, code=0):
    """The findings, level and text, by subject."""
    done = commands.shell(f"crawl-doctor --json {' '.join(options)}; [ $? = {code} ]")
    return [(f["level"], f["subject"], f["text"], f["command"]) for f in json.loads(done)["findings"]]


def repair(commands, *options, code=0):
    (report,) = json.loads(commands.shell(f"crawl-doctor docs --repair --json {' '.join(options)}; [ $? = {code} ]"))
    return report


def errors(findings):
    return [finding for finding in findings if finding[0] == "error"]


def crawl_half(commands, site):
    """Seed and crawl until a part of the site is fetched; the consumer is gone then, in good order."""
    commands.run("crawl-seed", site.home)
    consumer = commands.consumer("--quiet", "--concurrency", "4")
    wait_until(lambda: len(site.asked) > PAGES // 4, "a quarter of the pages")
    consumer.send_signal(signal.SIGTERM)
    assert consumer.wait(60) == 0
    assert len(site.asked) < PAGES


def finish(commands, site, consumers=2):
    running = [commands.consumer("--quiet") for _ in range(consumers)]
    assert [consumer.wait(120) for consumer in running] == [0] * consumers
    books = commands.status()
    assert (books["state"], books["outcomes"]) == ("complete", {"ok": PAGES})
    assert len(site.asked) == PAGES


def test_purged_queues_are_noticed_and_repaired_from_the_journal(commands, site, rabbit, fresh_vhost):
    crawl_half(commands, site)
    assert errors(doctor(commands, "docs", "--deep", code=16)) == []  # a warning: nobody consumes
    for queue in ("docs.pages", "docs.pages.due"):
        rabbit.ctl("--vhost", fresh_vhost, "purge_queue", queue)
    still_open = commands.status()["admitted"] - commands.status()["done"]

    ((_, subject, text, command),) = errors(doctor(commands, "docs", code=17))
    assert (subject, command) == ("docs/main", "crawl-doctor docs --repair")
    assert f"at least {still_open:,} open URLs have no message" in text

    tried = repair(commands, "--dry-run")
    assert (tried["republished"], tried["open"], tried["unnamed"]) == (still_open, still_open, 0)
    done = repair(commands)
    assert (done["republished"], done["unnamed"], done["held"]) == (still_open, 0, 0)
    assert errors(doctor(commands, "docs", code=16)) == []
    finish(commands, site)
    assert set(site.asked.values()) == {1}
    assert doctor(commands, "docs")[0][0] == "ok"
    assert repair(commands)["republished"] == 0


def test_a_queue_is_purged_and_repaired_twice_while_consumers_work(commands, site, rabbit, fresh_vhost):
    commands.run("crawl-seed", site.home)
    consumers = [commands.consumer("--quiet", "--concurrency", "4") for _ in range(2)]
    wait_until(lambda: len(site.asked) > PAGES // 6, "a part of the pages")
    rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "docs.pages")
    for _ in range(2):
        assert repair(commands)["unroutable"] == 0
    assert [consumer.wait(120) for consumer in consumers] == [0, 0]
    assert (commands.status()["state"], commands.status()["outcomes"]) == ("complete", {"ok": PAGES})
    # Of the copies that two repairs have made none was fetched.
    assert Counter(site.asked.values()) == {1: PAGES}


def test_a_deleted_queue_is_made_again_and_its_urls_come_back(commands, site, rabbit, fresh_vhost):
    crawl_half(commands, site)
    rabbit.ctl("--vhost", fresh_vhost, "delete_queue", "docs.pages")
    found = errors(doctor(commands, "docs", code=17))
    assert ("topology", "crawl-topology apply") in [(subject, command) for _, subject, _, command in found]
    assert "lacks docs.pages" in found[0][2]
    commands.run("crawl-topology", "apply")
    assert repair(commands)["republished"] > 0
    finish(commands, site)
    assert set(site.asked.values()) == {1}


def test_without_a_journal_seed_files_and_records_bring_back_what_they_name(
    commands, site, rabbit, fresh_vhost, tmp_path
):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY.replace(", journal: true", ""))
    urls = [site.home.removesuffix("/") + f"/{n}" for n in range(1, PAGES)]
    (tmp_path / "seeds.txt").write_text("\n".join([site.home, *urls[:100]]) + "\n")
    (tmp_path / "pages.jsonl").write_text(
        "".join(json.dumps({"url": url, "depth": 2}) + "\n" for url in urls[100:]) + "no url\n"
    )
    commands.run("crawl-seed", "--file", "seeds.txt")
    rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "docs.pages")

    ((_, _, text, command),) = errors(doctor(commands, code=17))
    assert ("101 open URLs" in text, command) == (True, "crawl-doctor docs --repair --from FILE")
    assert "`journal: true` in" in commands.shell("crawl-doctor docs --repair; [ $? = 10 ]")
    done = repair(commands, "--from", "seeds.txt", "--from", "pages.jsonl")
    assert (done["republished"], done["ended"], done["unreadable"]) == (101, PAGES - 101, 1)
    finish(commands, site)


def test_urls_that_redis_opened_again_come_back(commands, site, redis_server):
    """What an appendfsync everysec may do: the URL's end is gone, and so is its message."""
    commands.run("crawl-seed", site.home)
    commands.consumer("--quiet").wait(120)
    record = commands.records()[7]["url"]
    commands.run("python", "-c", ROLL_BACK, record, CRAWL_REDIS_URL=redis_server.url)
    assert commands.status()["state"] == "running"
    assert "at least 1 open URLs" in errors(doctor(commands, code=17))[0][2]
    assert repair(commands)["republished"] == 1
    finish(commands, site)
    assert Counter(site.asked.values()) == {1: PAGES - 1, 2: 1}


#: Takes a URL back from done to open, as a Redis does that has lost its last second.
ROLL_BACK = """
import asyncio, os, sys
from crawl_dedup import LedgerName, RedisLedger, open_redis
async def main():
    async with await open_redis(os.environ["CRAWL_REDIS_URL"], name="test") as redis:
        ledger = await RedisLedger.open(redis, LedgerName("docs"), consumer="test", expected_urls=1)
        assert await ledger.reopen(ledger.fingerprint(sys.argv[1]), outcome="ok", letter="test")
asyncio.run(main())
"""


def test_an_outbox_of_a_killed_consumer_is_published_by_one_that_never_gets_its_parent(
    commands, site, rabbit, fresh_vhost
):
    """The sweeper: the parent's message is purged, so nothing but its outbox leads on."""
    rabbit.ctl(
        "--vhost", fresh_vhost, "set_policy", "tight", "^docs.pages$", '{"max-length":1}', "--apply-to", "queues"
    )
    commands.run("crawl-seed", site.home)
    consumer = commands.consumer("--quiet", "--concurrency", "1")
    wait_until(lambda: commands.status()["outboxes"] > 0, "an outbox that the full queue refuses")
    consumer.kill()
    consumer.wait()
