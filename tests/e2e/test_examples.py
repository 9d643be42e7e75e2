"""The examples, as their readers would try them: each in a folder of its own, on real servers."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from crawl_dev.site import StaticSite
from e2e_kit import PATIENCE_S, Commands, reference_walk, wait_until
from walked_site import BROKEN, MISSING, walked_site

pytestmark = pytest.mark.timeout(240)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


#: What examples/news.py is for: a front page, a section, two articles, and one that lacks its headline.
NEWS = {
    "index.html": "<nav><a href=science.html>s</a></nav><h1>Home</h1><article><a href=1.html>1</a></article>",
    "science.html": "<nav><a href=.>h</a></nav><h1>Science</h1><article><a href=2.html>2</a></article>",
    "1.html": "<h1>One</h1><time datetime=2026-03-01></time><main>a b c d</main><aside><a href=3.html>3</a></aside>",
    "2.html": "<h1>Two</h1><time datetime=2026-03-02></time><main>many a word</main>",
    "3.html": "<time datetime=2026-03-03></time><main>without a headline</main>",
}


@pytest.fixture(scope="module")
def site():
    with StaticSite(EXAMPLES / "site") as site:
        yield site


@pytest.fixture
def example(request, environment, tmp_path):
    """The commands, in a copy of the example's folder."""
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder)
    commands = Commands(environment, folder)
    yield commands
    print(commands.stop())


@pytest.fixture
def programs(example):
    """Starts programs of the example, which end with the test."""
    started = []

    def start(*arguments):
        started.append(subprocess.Popen([sys.executable, *arguments], env=example.environment, cwd=example.folder))
        return started[-1]

    yield start
    for program in started:
        program.kill()
        program.wait()


def rows(path, query):
    """What a query finds; nothing as long as there is no such table."""
    with closing(sqlite3.connect(path)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def pages(site):
    return {url for url, status in reference_walk(site.url).items() if status == 200}


@pytest.mark.parametrize("example", ["fanout"], indirect=True)
def test_both_readers_of_a_fanout_get_every_item(example, programs, site):
    example.run("crawl-topology", "apply")
    example.run("crawl-seed", site.url)
    first = programs("depths.py", "depths.db")
    example.run("crawl-consumer", "--queue", "site.*", "--until-done", "--quiet")
    wanted, depths, titles = pages(site), example.folder / "depths.db", example.folder / "titles.db"
    total = "SELECT total(pages) FROM depths"
    wait_until(lambda: rows(depths, total) == [(len(wanted),)], "the reader of the stream")
    first.send_signal(signal.SIGKILL)
    first.wait()
    programs("titles.py", "titles.db")
    wait_until(lambda: {url for (url,) in rows(titles, "SELECT url FROM titles")} == wanted, "the reader of the queue")
    programs("depths.py", "depths.db")
    example.run("crawl-seed", site.url + "about.html?again")
    example.run("crawl-consumer", "--queue", "site.*", "--until-done", "--quiet")
    wait_until(lambda: rows(depths, total) == [(len(wanted) + 1,)], "it to go on where it was killed")


@pytest.mark.parametrize("example", ["docs_index"], indirect=True)
def test_the_documentation_index_finds_pages_and_hears_of_new_ones(example, site):
    example.run("crawl-topology", "apply")
    example.run("crawl-seed", "--crawl", "docs", site.url)
    consume = ("crawl-consumer", "--queue", "docs.*", "--spider", "docs_index:DocsIndex", "--until-done", "--quiet")
    example.run(*consume, "--output", "sqlite:///docs.db")
    database = example.folder / "docs.db"
    assert {url for (url,) in rows(database, "SELECT url FROM document")} == pages(site)

    def found(words):
        done = subprocess.run(
            [sys.executable, "search.py", "docs.db", words],
            env=example.environment, cwd=example.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    assert found("guide")[:2] == [site.url + "guide/", "  Guide"]
    assert any("[serves]" in line for line in found("serving"))  # by its stem, in a piece of the text
    assert found("nowhere") == []
    example.run("crawl-seed", "--crawl", "docs", site.url + "about.html?print=1")
    example.run(*consume, "--output", "sqlite:///docs.db")
    assert site.url + "about.html?print=1" in found("about")
    with closing(sqlite3.connect(database)) as database, database:
        database.execute("DELETE FROM document WHERE url LIKE '%print=1'")
    assert site.url + "about.html?print=1" not in found("about")


@pytest.mark.parametrize("example", ["link_checker"], indirect=True)
def test_the_link_checker_names_each_broken_link_with_its_page(example):
    topology = example.folder / "exchanges.yaml"
    quick = topology.read_text().replace("# scope", "scope").replace("first_delay_s: 10", "first_delay_s: 0.1")
    topology.write_text(quick.replace("retry_s: [30]", "retry_s: [1]").replace("after_s: 20", "after_s: 0.5"))
    (example.folder / "hosts").write_text("127.0.0.1 elsewhere.example\n")  # where nobody answers https
    example.run("crawl-topology", "apply")
    with walked_site() as site:
        home = site.home("copy")
        example.run("crawl-seed", home)
        options = ("--spider", "link_checker:LinkChecker", "--hosts", "hosts", "--until-done", "--quiet")
        assert example.start("crawl-consumer", "--queue", "links.pages", *options).wait(PATIENCE_S) == 0
    letters = example.run("crawl-dead", "list", "--crawl", "links", "--json")
    report = subprocess.run(
        [sys.executable, "report.py", "links.db", "warc/"],
        env=example.environment, cwd=example.folder, input=letters, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert report.returncode == 1, report.stderr
    base, away = home.removesuffix("0"), "https://elsewhere.example/"
    told = report.stdout.splitlines()
    assert told[::2] == [f"{base}{BROKEN}", f"{base}{MISSING}", away]
    reasons = [line.removeprefix("  ").removesuffix(f", linked from {home}") for line in told[1::2]]
    assert reasons[:2] == ["http_500", "404"]
    assert reasons[2].startswith("connect: ")
    (log,) = example.folder.glob("crawl-consumer-*.log")
    for url, reason in zip(told[::2], reasons, strict=True):
        assert f"broken: {url} ({reason}), linked from {home}" in log.read_text()


def test_the_news_example_keeps_articles_and_one_of_two_consumers_says_how_it_went(environment, tmp_path):
    for name in ("news.py", "news.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    pages = tmp_path / "site"
    pages.mkdir()
    for name, text in NEWS.items():
        (pages / name).write_text(f"<!doctype html>{text}")
    news = Commands({**environment, "CRAWL_TOPOLOGY": "news.yaml"}, tmp_path)
    try:
        with StaticSite(pages) as site:
            news.run("crawl-topology", "apply")
            news.run("crawl-seed", site.url)
            options = ("--output", "articles.jsonl", "--until-done", "--quiet")
            consumers = [news.start("crawl-consumer", "--queue", "gazette.*", *options) for _ in range(2)]
            assert [consumer.wait(PATIENCE_S) for consumer in consumers] == [0, 0]
        kept = map(json.loads, (tmp_path / "articles.jsonl").read_text().splitlines())
        assert {(item["headline"], item["section"]) for item in kept} == {("One", "Home"), ("Two", "Science")}
        letters = map(json.loads, news.run("crawl-dead", "list", "--json").splitlines())
        assert [letter["url"] for letter in letters] == [f"{site.url}3.html"]
    finally:
        logs = news.stop()
        print(logs)
    assert logs.count("gazette: 5 of 5 pages") == 1
