"""A bounded frontier: a queue far smaller than the crawl is back-pressure, not loss, and the crawl ends."""

import json

import pytest

from e2e_kit import Commands, wait_until
from tree_site import tree_site

PAGES = 1500
LINKS = 10

pytestmark = pytest.mark.timeout(240)


def topology(max_length):
    return f"""
exchanges: {{crawl.docs: {{type: direct}}}}
queues:
  docs.pages: {{crawl: docs, max_length: {max_length}, bindings: [{{exchange: crawl.docs, key: page}}]}}
crawls: {{docs: {{exchange: crawl.docs, key: page, robots: {{obey: false}}}}}}
"""


@pytest.fixture
def site():
    with tree_site(PAGES, LINKS) as site:
        yield site


@pytest.fixture
def bounded(environment, tmp_path):
    """Commands for a queue of at most so many URLs."""
    commands = Commands(environment, tmp_path)

    def begin(max_length):
        (tmp_path / "exchanges.yaml").write_text(topology(max_length))
        commands.run("crawl-topology", "apply")
        return commands

    yield begin
    print(commands.stop())


def parked(commands):
    """How often consumers had to park a URL, by their own reports."""
    logs = commands.folder.glob("crawl-consumer-*.log")
    return [json.loads(line)["parked"] for log in logs for line in log.read_text().splitlines() if line[:1] == "{"]


def test_a_queue_far_smaller_than_the_crawl_slows_it_down_and_loses_nothing(bounded, site):
    commands = bounded(50)
    commands.run("crawl-seed", site.home)
    consumers = [commands.consumer("--quiet", "--json") for _ in range(2)]
    assert [consumer.wait(150) for consumer in consumers] == [0, 0]
    books = commands.status()
    assert len(site.asked) == PAGES
    assert set(site.asked.values()) == {1}
    assert (books["state"], books["outboxes"], books["outcomes"]) == ("complete", 0, {"ok": PAGES})
    assert sum(parked(commands)) > 0, "the queue never was full"


def test_consumers_that_all_hold_parents_whose_links_are_refused_do_not_stand_still(bounded, rabbit, fresh_vhost):
    """Sixteen pages bring sixteen links each at once: far more than the queue and all prefetches have room for."""
    commands, links = bounded(2), 16
    pages = 1 + links + links * links

    def queues(column):
        return {queue["name"]: queue[column] for queue in rabbit.list_queues("name", column, vhost=fresh_vhost)}

    def waiting():
        """Copies of parked URLs, whether they wait, are due or lie with a consumer that has no slot free."""
        return sum(
            n for name, n in queues("messages").items() if name.startswith("crawl.delay") or name.endswith(".due")
        )

    with tree_site(pages, links, together=True) as site:
        consumers = [commands.consumer("--quiet", "--json", "--concurrency", "8") for _ in range(3)]
        wait_until(lambda: queues("consumers")["docs.pages"] == 3, "three consumers")
        commands.run("crawl-seed", site.home)
        wait_until(lambda: waiting() > 2, "links of three pages to be refused")
        site.go_on.set()
        assert [consumer.wait(150) for consumer in consumers] == [0, 0, 0]
        assert (len(site.asked), set(site.asked.values())) == (pages, {1})
    assert sum(parked(commands)) > 2
    assert (commands.status()["state"], commands.status()["outcomes"]) == ("complete", {"ok": pages})


def test_a_seeder_waits_for_room_and_goes_on_when_there_is_some(bounded, site, rabbit, fresh_vhost):
    commands = bounded(50)
    urls = "".join(f"{site.home}{n or ''}\n" for n in range(PAGES))
    (commands.folder / "seeds.txt").write_text(urls)
    seeder = commands.start("crawl-seed", "--file", "seeds.txt")

    def ready():
        found = rabbit.list_queues("name", "messages_ready", vhost=fresh_vhost)
        return next(queue["messages_ready"] for queue in found if queue["name"] == "docs.pages")

    wait_until(lambda: ready() >= 50, "the queue to be full")
    assert seeder.poll() is None
    consumer = commands.consumer("--quiet")
    assert (consumer.wait(150), seeder.wait(60)) == (0, 0)
    assert set(site.asked.values()) == {1}
    assert (commands.status()["state"], commands.status()["outcomes"]) == ("complete", {"ok": PAGES})
