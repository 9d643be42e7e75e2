"""The examples of moving here, as processes on real servers: who parses what is said by exchanges.yaml alone."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crawl_dev.site import StaticSite
from e2e_kit import Commands

pytestmark = pytest.mark.timeout(240)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAGES = {
    "index.html": "<h1>Politics</h1><article><a href=a1.html>1</a></article><article><a href=a2.html>2</a></article>",
    "science.html": "<h1>Science</h1><article><a href=a3.html>3</a></article>",
    "a1.html": "<h1>One</h1><article><a href=a3.html>no teaser</a></article>",
    "a2.html": "<p>no headline</p>",
    "a3.html": "<h1>Three</h1>",
    "a4.html": "<h1>Four</h1>",
    "tools.html": "<a class=product href=hammer.html>h</a><a class=next href=tools-2.html>2</a><a href=a1.html>ad</a>",
    "tools-2.html": "<a class=product href=saw.html>s</a>",
    "hammer.html": "<h1>Hammer</h1><p class=price>9</p>",
    "saw.html": "<h1>Saw</h1><p class=price>12</p>",
}


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(f"<!doctype html><title>{name}</title>{text}")
    with StaticSite(folder) as site:
        yield site


@pytest.fixture
def moved(request, environment, tmp_path):
    """The commands, in a copy of the example's folder, with its topology applied."""
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder)
    commands = Commands(environment, folder)
    commands.run("crawl-topology", "apply")
    yield commands
    print(commands.stop())


def consume(moved, queue):
    moved.run("crawl-consumer", "--queue", queue, "--until-done", "--quiet")


@pytest.mark.parametrize("moved", ["from_celery"], indirect=True)
def test_each_of_two_queues_has_its_own_spider_without_any_option(moved, site):
    moved.run("crawl-seed", site.url, f"{site.url}science.html")
    consume(moved, "paper.*")
    with closing(sqlite3.connect(moved.folder / "paper.db")) as database:
        rows = database.execute("SELECT url, headline, section FROM article ORDER BY url").fetchall()
    assert rows == [(f"{site.url}a1.html", "One", "Politics"), (f"{site.url}a3.html", "Three", "Science")]
    (letter,) = [json.loads(line) for line in moved.run("crawl-dead", "list", "--json").splitlines()]
    assert (letter["url"], letter["queue"]) == (f"{site.url}a2.html", "paper.articles")
    assert letter["reason"].startswith("item_invalid: Article 0: headline: ")
    assert moved.status("paper")["outcomes"] == {"ok": 5}


@pytest.mark.parametrize("moved", ["from_celery"], indirect=True)
def test_two_consumers_of_one_queue_each_do_the_same(moved, site):
    moved.run("crawl-seed", f"{site.url}science.html")
    fronts, articles = (
        moved.start("crawl-consumer", "--queue", f"paper.{queue}", "--until-done", "--quiet")
        for queue in ("fronts", "articles")
    )
    assert (fronts.wait(90), articles.wait(90)) == (0, 0)
    with closing(sqlite3.connect(moved.folder / "paper.db")) as database:
        assert database.execute("SELECT headline, section FROM article").fetchall() == [("Three", "Science")]


@pytest.mark.parametrize("moved", ["from_scrapy_redis"], indirect=True)
def test_start_urls_in_redis_bring_their_meta_and_items_go_to_redis(moved, site, redis_server):
    redis = f"redis-cli -p {redis_server.port}"
    start = [
        json.dumps({"url": f"{site.url}tools.html", "meta": {"category": "tools"}}),
        json.dumps({"url": f"{site.url}tools.html", "meta": {"category": "not the first to say so"}}),
        json.dumps({"url": f"{site.url}a1.html", "meta": "tools"}),
    ]
    moved.shell(f"{redis} RPUSH shop:start_urls {' '.join(map(repr, start))}")
    moved.run("crawl-seed", "--redis-key", "shop:start_urls", code=10)  # one of them is no start URL
    consume(moved, "shop.*")
    assert moved.status("shop")["outcomes"] == {"ok": 4}
    items = [json.loads(line) for line in moved.shell(f"{redis} LRANGE shop:items 0 -1").splitlines()]
    assert all(item.pop("_key") for item in items)
    assert sorted(items, key=lambda item: item["name"]) == [
        {"url": f"{site.url}hammer.html", "name": "Hammer", "price": "9", "category": "tools"},
        {"url": f"{site.url}saw.html", "name": "Saw", "price": "12", "category": "tools"},
    ]
    (bad,) = map(json.loads, moved.shell(f"{redis} LRANGE shop:start_urls:rejected 0 -1").splitlines())
    assert (bad["text"], bad["reason"]) == (start[2], "meta: no object")
