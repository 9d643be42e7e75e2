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


def test_bad_messages_among_the_dead_letters_hide_no_loss_and_open_urls_among_them_are_none(
    commands, site, rabbit, fresh_vhost
):
    def bury(payload):
        letter = {"routing_key": "docs.pages", "payload": payload, "payload_encoding": "string"}
        exchange = f"exchanges/{fresh_vhost}/crawl.dead/publish"
        rabbit.nodes[0].management.call("POST", exchange, letter | {"properties": {"delivery_mode": 2}})

    commands.run("crawl-seed", site.home)
    for _ in range(3):
        bury("no message")
    rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "docs.pages")
    ((_, subject, text, _),) = errors(doctor(commands, "docs", code=17))
    assert (subject, "at least 1 open URLs" in text) == ("docs/main", True)
    bury(json.dumps({"v": 1, "crawl": "docs", "url": site.home}))
    assert errors(doctor(commands, "docs", code=16)) == []  # a warning: nobody consumes
    assert len(commands.shell("crawl-dead list --json").splitlines()) == 4


def test_seeds_that_redis_has_lost_with_its_last_second_and_rabbitmq_with_a_queue_come_back(
    commands, site, redis_server, rabbit, fresh_vhost
):
    commands.run("crawl-seed", site.home)
    commands.run("python", "-c", LOSE, site.home, CRAWL_REDIS_URL=redis_server.url)
    rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "docs.pages")
    assert commands.status()["admitted"] == 0
    assert repair(commands, "--dry-run")["readmitted"] == 1
    assert repair(commands)["readmitted"] == 1
    assert commands.status()["admitted"] == 1
    finish(commands, site)
    assert set(Counter(site.asked).values()) == {1}
    commands.run("crawl-forget", "docs", "--yes")
    commands.run("crawl-seed", "http://127.0.0.1:9/")
    assert repair(commands)["readmitted"] == 0


#: Takes the admission of a URL back, as a Redis does that has lost its last second.
LOSE = """
import asyncio, os, sys
from crawl_dedup import LedgerName, RedisLedger, open_redis
async def main():
    async with await open_redis(os.environ["CRAWL_REDIS_URL"], name="test") as redis:
        ledger = await RedisLedger.open(redis, LedgerName("docs"), consumer="test", expected_urls=1)
        bucket, member = ledger.fingerprint(sys.argv[1]).split(".")
        books = "crawl:{docs/main}:"
        assert await redis.call("SREM", f"{books}adm:{bucket}", member) == 1
        for count in ("admitted", "open", "discovered"):
            await redis.call("HINCRBY", f"{books}counts", count, -1)
asyncio.run(main())
"""


def test_an_outbox_of_a_killed_consumer_is_published_by_one_that_never_gets_its_parent(
    commands, site, rabbit, fresh_vhost, tmp_path
):
    """The sweeper, with nothing to go by but the outbox: its parent's message is purged."""
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY.replace(", journal: true", ""))
    for queue in ("docs.pages", "journal.docs"):
        binding = f"bindings/{fresh_vhost}/e/crawl.docs/q/{queue}/page"
        if queue == "docs.pages":
            commands.run("crawl-seed", site.home)
        rabbit.nodes[0].management.call("DELETE", binding)
    victim = commands.consumer("--quiet")
    wait_until(lambda: commands.status()["outboxes"] == 1, "an outbox whose links no queue wants")
    wait_until(lambda: parked(rabbit, fresh_vhost) == 1, "its parent to be parked")
    victim.kill()
    victim.wait()
    rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "crawl.delay.16000")
    commands.run("crawl-topology", "apply")

    consumer = commands.consumer("--quiet")
    assert consumer.wait(120) == 0
    assert (commands.status()["state"], commands.status()["outboxes"]) == ("complete", 0)
    assert Counter(site.asked.values()) == {1: PAGES}


def parked(rabbit, vhost):
    (ladder,) = (q for q in rabbit.list_queues("name", "messages", vhost=vhost) if q["name"] == "crawl.delay.16000")
    return ladder["messages"]


def test_alarms_and_blocked_publishers_are_errors_of_the_node(commands, rabbit, tmp_path):
    (tmp_path / "urls.txt").write_text("".join(f"http://127.0.0.1:9/{n}\n" for n in range(20_000)))
    rabbit.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        seeder = commands.start("crawl-seed", "--file", "urls.txt")
        # The management API knows of alarms and blocked connections after its next tick.
        both = ("is short of memory", "publishing connections are not read from")
        wait_until(lambda: all(words in commands.shell("crawl-doctor docs; true") for words in both), "both findings")
        assert any("is short of memory" in text for _, _, text, _ in errors(doctor(commands, "docs", code=17)))
        assert seeder.poll() is None
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GiB")
    assert seeder.wait(60) == 0
    wait_until(lambda: "short of memory" not in commands.shell("crawl-doctor docs; true"), "the end of the alarm")


def test_servers_that_do_not_answer_are_findings(commands):
    nobody = {"CRAWL_RABBITMQ_NODES": "127.0.0.1:1", "CRAWL_REDIS_URL": "redis://127.0.0.1:1/0"}
    commands.environment |= nobody
    found = errors(doctor(commands, code=17))
    assert {subject for _, subject, _, _ in found} == {"redis", "rabbitmq"}
    assert all("127.0.0.1:1" in text for _, _, text, _ in found)


def test_without_the_management_api_the_doctor_says_what_it_cannot_know(commands, site):
    commands.environment["CRAWL_RABBITMQ_MANAGEMENT"] = "http://127.0.0.1:1"
    commands.run("crawl-seed", site.home)
    found = doctor(commands, "docs", code=16)
    assert any("management API cannot be asked" in text for level, _, text, _ in found if level == "warning")
    assert errors(found) == []


def test_a_user_who_may_not_declare_is_told_that_the_topology_was_not_compared(commands, rabbit, fresh_vhost):
    management = rabbit.nodes[0].management
    management.call("PUT", "users/reader", {"password": "reader", "tags": "monitoring"})
    permissions = {"configure": "^$", "write": ".*", "read": ".*"}
    management.call("PUT", f"permissions/{fresh_vhost}/reader", permissions)
    try:
        commands.environment |= {"CRAWL_RABBITMQ_USERNAME": "reader", "CRAWL_RABBITMQ_PASSWORD": "reader"}
        found = doctor(commands, "docs", code=16)
        assert [(level, subject) for level, subject, _, _ in found if level != "ok"] == [("warning", "topology")]
    finally:
        management.call("DELETE", "users/reader")


def test_a_node_that_is_down_is_found_with_the_queues_that_miss_it(cluster, cluster_environment, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    commands = Commands(cluster_environment, tmp_path)
    commands.run("crawl-topology", "apply")
    cluster.nodes[2].kill()
    # The management API knows of it after its next tick.
    both = ("rabbit3@127.0.0.1 does not run", "docs.pages: 2 of its 3 members run")
    wait_until(lambda: all(words in commands.shell("crawl-doctor; true") for words in both), "both findings")
    assert len(errors(doctor(commands, code=17))) == 1
    cluster.heal()
    wait_until(lambda: "rabbit3" not in commands.shell("crawl-doctor; true"), "the end of both")
