"""Seeds from a site's sitemaps, a Redis key and another system's queue, through kill -9 and SIGTERM."""

import asyncio
import gzip
import json
import signal
from pathlib import Path

import pytest

from crawl_dedup import LedgerName, open_redis, read_progress
from crawl_dev import StaticSite
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Outgoing
from crawl_producer.settings import Overrides, load
from e2e_kit import Commands, wait_until

ROOT = Path(__file__).resolve().parents[2]
URLS = 20_000
#: The exchange by which this test's other system publishes.
INBOX = """
inboxes:
  docs.inbox: {crawl: docs, bindings: [{exchange: crawl.docs, key: inbox}]}
"""


@pytest.fixture
def commands(environment, tmp_path):
    (tmp_path / "exchanges.yaml").write_text((ROOT / "exchanges.yaml").read_text() + INBOX)
    commands = Commands(environment, tmp_path)
    commands.run("crawl-topology", "apply")
    yield commands
    print(commands.stop())


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    with StaticSite(root) as site:
        pages = "".join(f"<url><loc>{site.url}{n}?a&b</loc></url>" for n in range(1000))
        (root / "robots.txt").write_text(f"User-agent: *\nDisallow: /\nSitemap: {site.url}index.xml\n")
        (root / "index.xml").write_text(
            f"<sitemapindex><sitemap><loc>{site.url}1.xml.gz</loc></sitemap>"
            f"<sitemap><loc>{site.url}gone.xml</loc></sitemap>"
            f"<sitemap><loc>{site.url}old.xml</loc><lastmod>2001-01-01</lastmod></sitemap></sitemapindex>"
        )
        (root / "1.xml.gz").write_bytes(gzip.compress(f"<urlset>{pages}<url><loc>x://y</loc></url></urlset>".encode()))
        (root / "rss.xml").write_text(
            f"<rss><channel><item><link>{site.url}news</link></item>"
            "<item><link>https://elsewhere.example/</link></item></channel></rss>"
        )
        yield site


def rabbitmq(commands):
    """Another system's connection."""
    given = {name[6:].lower(): value for name, value in commands.environment.items() if name.startswith("CRAWL_R")}
    topology = load(commands.folder / "exchanges.yaml", Overrides(**given)).topology
    return AmqpBroker(topology.connection, name="another system")


def send(commands, *bodies):
    """What another system does."""

    async def publish():
        async with rabbitmq(commands) as broker:
            messages = [Outgoing("crawl.docs", "inbox", body.encode(), message_id="") for body in bodies]
            assert set(await broker.publish_all(messages)) == {None}

    asyncio.run(publish())


def seed(commands, *options, code=0):
    return json.loads(commands.run("crawl-seed", "--json", *options, code=code))


def test_the_sitemaps_of_a_site_by_its_robots_txt(commands, site):
    asked = ("crawl-seed", "--crawl", "docs", "--sitemap", f"{site.url}robots.txt", "--since", "2020-01-01")
    said = commands.run(*asked, "--rejected", "bad.jsonl", code=10)
    assert f"{site.url}index.xml: http_404: '{site.url}gone.xml'" in said
    assert f"{site.url}1.xml.gz, entry 1001: scheme: 'x://y'" in said
    bad = [json.loads(line) for line in (commands.folder / "bad.jsonl").read_text().splitlines()]
    assert sorted(entry["reason"] for entry in bad) == ["http_404", "scheme"]
    assert commands.status()["admitted"] == 1000
    assert site.requests() == ["/robots.txt", "/index.xml", "/1.xml.gz", "/gone.xml"]
    assert {request.user_agent.split("/")[0] for request in site.request_log()} == {"CrawlMQ"}


def test_a_sitemap_at_an_address_that_is_not_public_is_not_asked_for_and_the_remedy_is_told(commands, site):
    sitemap = f"{site.url}robots.txt"
    said = commands.run("crawl-seed", "--crawl", "docs", "--sitemap", sitemap, code=10, CRAWL_ALLOW_NETWORKS="")
    assert f"blocked: '{sitemap}'" in said
    assert "allow_networks: [127.0.0.0/8] in exchanges.yaml lets the crawl go there" in said
    assert site.requests() == []


def test_a_feed_and_a_dry_run(commands, site):
    feed = ("--crawl", "docs", "--feed", f"{site.url}rss.xml")
    dry = seed(commands, *feed, "--dry-run")
    assert (dry["admitted"], dry["outside"], dry["lists"]) == (1, {"host": 1}, 1)
    assert commands.status()["state"] == "not started"
    assert "1 outside the scope (host), 1 list read" in commands.run("crawl-seed", *feed)
    assert seed(commands, *feed, "--any-host")["admitted"] == 1
    assert commands.status()["admitted"] == 2


def test_a_seeder_of_a_redis_list_that_is_killed_and_started_again_loses_nothing(commands, redis_server):
    (commands.folder / "push").write_text("".join(f"RPUSH docs:start_urls https://e.org/{n}\r\n" for n in range(URLS)))
    commands.shell(f"redis-cli -p {redis_server.port} --pipe < push")
    first = commands.start("crawl-seed", "--crawl", "docs", "--redis-key", "docs:start_urls", "--follow")
    wait_until(lambda: redis_server.command("LLEN docs:start_urls") != f":{URLS}", "the first ones to be let go")
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    left = int(redis_server.command("LLEN docs:start_urls").removeprefix(":"))
    assert left + commands.status()["admitted"] >= URLS

    again = seed(commands, "--crawl", "docs", "--redis-key", "docs:start_urls")

    assert again["lines"] == left
    assert redis_server.command("EXISTS docs:start_urls") == ":0"
    books = commands.status()
    assert (books["admitted"], books["done"]) == (URLS, 0)
    assert books["waiting"] >= URLS


def test_a_service_at_an_inbox_that_is_killed_and_told_to_stop_loses_nothing(commands, redis_server):
    first = commands.start("crawl-seed", "--inbox", "docs.inbox", "--follow", CRASH_AT="written.admitted:2")
    send(commands, *(f"https://e.org/{n}" for n in range(2000)), "nonsense")
    assert first.wait(timeout=90) == -signal.SIGKILL

    second = commands.start("crawl-seed", "--inbox", "docs.inbox", "--follow")
    send(commands, '{"url": "https://e.org/last", "depth": 2}', '{"uri": 1}')
    asyncio.run(settled(commands))
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=90) == 0

    assert seed(commands, "--inbox", "docs.inbox")["lines"] == 0
    assert {letter["reason"] for letter in letters(commands)} == {"undecodable: syntax", "undecodable: no_url"}
    assert "0 replayed" in commands.run("crawl-dead", "replay", "--crawl", "docs", "--yes")
    dropped = json.loads(commands.run("crawl-dead", "drop", "--queue", "docs.inbox", "--yes", "--json"))
    assert dropped["dropped"] == 2
    assert commands.status()["admitted"] == 2001


@pytest.mark.timeout(240)
def test_what_waits_in_an_inbox_and_who_takes_it_is_shown(commands):
    send(commands, "https://e.org/", '{"url": "https://e.org/b", "meta": "no object"}')
    text = "2 messages wait, 0 dead letters, served by nobody"
    assert doctor_of_the_inbox(commands) == ("warning", text, "crawl-seed --inbox docs.inbox --follow")
    assert "inbox docs.inbox: 2 waiting" in commands.run("crawl-status", "docs")

    commands.start("crawl-seed", "--inbox", "docs.inbox", "--follow")
    shown = {"name": "docs.inbox", "ready": 0, "dead": 1, "served_by": 1}
    wait_until(lambda: shown.items() <= commands.status()["inboxes"][0].items(), "the service to take both")
    text = "0 messages wait, 1 dead letters, served by 1 crawl-seed"
    assert doctor_of_the_inbox(commands) == ("warning", text, "crawl-dead list --queue docs.inbox")
    assert [letter["reason"] for letter in letters(commands)] == ["undecodable: meta: no object"]


def doctor_of_the_inbox(commands):
    """What the doctor says of it; other things may well be a warning."""
    told = json.loads(commands.shell("crawl-doctor docs --json || [ $? = 16 ]"))
    (found,) = [finding for finding in told["findings"] if finding["subject"] == "docs.inbox"]
    return found["level"], found["text"], found["command"]


async def settled(commands):
    """Wait until 2,001 URLs are in the crawl, and two messages in the dead letters."""
    async with (
        asyncio.timeout(90),
        rabbitmq(commands) as broker,
        await open_redis(commands.environment["CRAWL_REDIS_URL"], name="tests") as redis,
    ):
        while (await read_progress(redis, LedgerName("docs"))).admitted < 2001:
            await asyncio.sleep(0.1)
        while (await broker.depth("dead.docs.inbox")).ready < 2:
            await asyncio.sleep(0.1)


def letters(commands):
    told = commands.run("crawl-dead", "list", "--queue", "docs.inbox", "--json")
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sitemap", "nonsense"), "take http and https URLs"),
        (("--since", "24h", "https://e.org/"), "belong to --sitemap and --feed"),
        (("--follow", "https://e.org/"), "belongs to --redis-key and --inbox"),
        (("--redis-key", "k", "--inbox", "docs.inbox"), "not both"),
        (("--redis-key", "k", "--dry-run"), "--dry-run reads"),
        (("--redis-key", "k", "--follow", "--expires", "1h"), "count from now"),
    ],
)
def test_options_that_do_not_go_together_are_refused(commands, options, said):
    told = commands.run("crawl-seed", "--crawl", "docs", *options, code=2, COLUMNS="200", stdin="")
    assert said in " ".join(told.split())


def test_an_inbox_that_is_none_is_said_with_those_that_there_are(commands):
    told = commands.run("crawl-seed", "--inbox", "nowhere", code=9)
    assert "docs.inbox" in told
    told = commands.run("crawl-seed", "--inbox", "docs.inbox", "--crawl", "news", code=9)
    assert "feeds crawl docs" in told


def test_a_redis_of_somebody_elses_that_is_not_there_is_said_without_its_password(commands):
    url = "redis://user:s3cret@127.0.0.1:1/0"
    told = commands.run("crawl-seed", "--crawl", "docs", "--redis-key", "k", CRAWL_SEED_REDIS_URL=url, code=6)
    assert "127.0.0.1:1" in told
    assert "s3cret" not in told
