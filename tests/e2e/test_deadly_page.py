"""A page that kills the process that reads it: it becomes a dead letter, and nothing else does."""

import json
import signal
from collections import Counter

import pytest
import redis

from crawl_consumer.suspects import MOST_TRIALS
from crawl_dev.site import StaticSite
from e2e_kit import Commands

PAGES = 40

SPIDER = """
import os, signal
from crawl_consumer.spider import Spider

class Fragile(Spider):
    name = "fragile"

    def parse(self, page):
        if page.url.endswith("/deadly.html"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().parse(page)
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    names = [f"p{n}.html" for n in range(PAGES // 2)] + ["deadly.html"] + [f"q{n}.html" for n in range(PAGES // 2)]
    for name in names:
        (root / name).write_text(f"<title>{name}</title>")
    (root / "index.html").write_text("".join(f'<a href="{name}">{name}</a>' for name in names))
    with StaticSite(root) as site:
        yield site


def test_a_deadly_page_is_given_up_after_three_trials_and_takes_no_page_along(site, environment, tmp_path, fresh_redis):
    commands = Commands(environment, tmp_path)
    (tmp_path / "fragile.py").write_text(SPIDER)
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", site.url)
    deaths = 0
    try:
        while (code := commands.consumer("--spider", "fragile:Fragile").wait(60)) == -signal.SIGKILL:
            deaths += 1
            not_waiting_for_its_heartbeat_to_end(fresh_redis)
    finally:
        print(commands.stop())
    assert (code, deaths) == (0, 1 + MOST_TRIALS)  # beside others the first time, then alone
    outcomes = commands.status()["outcomes"]
    assert outcomes == {"ok": PAGES + 1, "quarantined": 1}
    letters = [json.loads(line) for line in commands.run("crawl-dead", "list", "--json").splitlines()]
    assert [letter["url"] for letter in letters] == [f"{site.url}deadly.html"]
    assert "3 consumers died" in letters[0]["reason"]
    assert set(Counter(record["url"] for record in commands.records()).values()) == {1}


def not_waiting_for_its_heartbeat_to_end(url):
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("crawl:{docs/main}:alive:*"):
            client.delete(key)
