"""A whole crawl in one process: to its end, to its limit, or as far as it gets."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager

import pytest

from crawl_consumer.errors import OutputInvalid
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider
from crawl_consumer.workbench import summary
from crawl_consumer.workbench.rules import CRAWL, Rules, default_topology
from crawl_consumer.workbench.trial import Trial
from crawl_producer.topology import Topology
from dictionary_site import dictionary_site

PAGES = {
    "/": '<a href="/a">a</a><a href="/b">b</a><a href="/gone">g</a><a href="http://elsewhere.example/">e</a>',
    "/a": '<a href="/c">c</a>',
    "/b": (301, {"Location": "/c"}, ""),
    "/c": '<a href="/">home</a>',
}


def rules(**crawl):
    """The default ones without a delay, or other ones."""
    raw = default_topology().model_dump(mode="json", exclude={"connection", "redis"})
    raw["crawls"][CRAWL] |= {"politeness": {"delay_s": 0}, "allow_networks": ["127.0.0.0/8"], **crawl}
    return Rules(CRAWL, Topology.model_validate(raw))


@asynccontextmanager
async def unseen(_read):
    yield


def tried(site, by=None, *, spider=None, max_pages=100, patience_s=60, outputs=(), show=unseen):
    trial = Trial(by or rules(), max_pages=max_pages)
    settings = ConsumerSettings(trial.queues, outputs=tuple(outputs), until_done=True)
    spiders = dict.fromkeys(trial.queues, spider or Spider())
    return asyncio.run(trial.run([site.home], settings, spiders, patience_s=patience_s, show=show))


def test_a_crawl_needs_no_servers():
    with dictionary_site(PAGES) as site:
        told = summary.told(tried(site))
    assert told["complete"]
    assert told["outcomes"] == {"ok": 3, "redirect": 1, "http_404": 1}
    assert told["links"]["filtered:host"] == 1
    assert sorted(site.asked) == ["/", "/a", "/b", "/c", "/gone", "/robots.txt"]


def test_a_page_that_takes_too_much_to_parse_ends_alone():
    deadly = "<a href=/behind>" + "<p>" * 2_000_000
    with dictionary_site({**PAGES, "/a": deadly}) as site:
        told = summary.told(tried(site))
    assert told["complete"]
    assert told["outcomes"] == {"ok": 2, "unparsable": 1, "redirect": 1, "http_404": 1}
    assert "/behind" not in site.asked


def test_items_go_to_outputs_as_in_any_crawl(tmp_path):
    with dictionary_site(PAGES) as site:
        tried(site, outputs=[str(tmp_path / "items.jsonl")])
    urls = {json.loads(line)["url"] for line in (tmp_path / "items.jsonl").read_text().splitlines()}
    assert urls == {site.home, f"{site.home}a", f"{site.home}c"}


def test_no_more_urls_are_taken_on_than_asked_for():
    with dictionary_site(PAGES) as site:
        told = summary.told(tried(site, max_pages=2))
    assert (told["complete"], told["admitted"], told["links"]["filtered:max_pages"]) == (True, 2, 3)
    assert len(site.asked) == 3


def test_a_host_that_brings_nothing_new_is_given_up_as_on_servers():
    pages = {"/": "".join(f'<a href="/{n}">x</a>' for n in range(300)), **{f"/{n}": "the same" for n in range(300)}}
    by = rules(scope={"unique_content": {"of_last": 10, "min_share": 0.3}})
    with dictionary_site(pages) as site:
        told = summary.told(tried(site, by, max_pages=0))
    fetched = len(site.asked) - 1  # robots.txt is none
    assert told["complete"]
    assert told["outcomes"] == {"ok": fetched, "trap": 301 - fetched}
    assert told["outcomes"]["trap"] > 100


def test_the_narrower_of_two_limits_holds():
    limited = rules(scope={"max_pages": 1})
    assert Trial(limited, max_pages=5).topology.crawls[CRAWL].scope.max_pages == 1
    assert Trial(limited, max_pages=0).topology.crawls[CRAWL].scope.max_pages == 1
    assert Trial(rules(), max_pages=0).topology.crawls[CRAWL].scope.max_pages is None


def test_it_is_polite():
    by = rules(politeness={"delay_s": 0.3})
    with dictionary_site({"/": '<a href="/a">a</a>', "/a": "", "/robots.txt": ""}) as site:
        ended = tried(site, by)
    assert site.asked == ["/robots.txt", "/", "/a"]
    assert ended.seconds >= 0.6


def test_what_failed_for_good_is_told_with_its_reason():
    class Fails(Spider):
        def parse(self, page):
            raise KeyError("price")

    with dictionary_site({"/": "home"}) as site:
        ended = tried(site, spider=Fails())
    ((url, reason),) = ended.dead
    assert url == site.home
    assert "KeyError: 'price'" in reason
    assert any(line.startswith(f"  dead:     {site.home}: spider raised") for line in summary.lines(ended))


def test_what_would_wait_for_long_ends_it_and_is_told():
    with dictionary_site({"/": '<a href="/a">a</a>', "/a": (503, {"Retry-After": "900"}, "")}) as site:
        ended = tried(site)
    assert not ended.complete
    assert ended.waits.urls == 1
    assert 60 < ended.waits.next_s <= 900
    assert ended.tally.fetched == 2


def test_a_site_that_hides_its_robots_txt_ends_it_with_the_reason():
    with dictionary_site({"/robots.txt": (500, {}, "")}) as site:
        ended = tried(site)
    assert ended.unreachable == (f"{site.home}robots.txt: http_500",)
    assert site.asked == ["/robots.txt"]


def test_a_short_wait_is_waited_for():
    once = iter([(500, {}, "")])

    class Once(dict):
        def get(self, path, missing=None):
            return next(once, "now") if path == "/" else missing

    with dictionary_site(Once()) as site:
        told = summary.told(tried(site, rules(retry={"max_attempts": 2, "first_delay_s": 0.5})))
    assert told["outcomes"] == {"ok": 1}


def test_a_signal_ends_it_cleanly_with_its_summary(tmp_path):
    """The first page's items are kept, although the crawl would go on for ever."""

    class Endless(dict):
        def get(self, path, missing=None):
            if path == "/robots.txt":
                return missing
            if len(path) == 20:
                os.kill(os.getpid(), signal.SIGINT)
            return f'<a href="{path}x">on</a>'

    with dictionary_site(Endless()) as site:
        ended = tried(site, max_pages=0, outputs=[str(tmp_path / "items.jsonl")])
    assert not ended.complete
    assert ended.waits is None
    assert len((tmp_path / "items.jsonl").read_text().splitlines()) == ended.tally.fetched


@pytest.mark.parametrize("output", ["redis:items", "exchange:items"])
def test_outputs_that_need_servers_are_refused(output):
    with dictionary_site(PAGES) as site, pytest.raises(OutputInvalid, match="without servers"):
        tried(site, outputs=[output])


def test_every_group_of_a_crawl_crawls_it():
    fanout = {
        "exchanges": {"x": {"type": "fanout"}},
        "queues": {
            group: {"crawl": "c", "group": group, "bindings": [{"exchange": "x"}]} for group in ("archive", "check")
        },
        "crawls": {
            "c": {
                "exchange": "x",
                "politeness": {"delay_s": 0},
                "allow_networks": ["127.0.0.0/8"],
                "journal": True,
            }
        },
    }
    with dictionary_site(PAGES) as site:
        ended = tried(site, Rules("c", Topology.model_validate(fanout)))
    assert [(name.group, book.admitted, book.open) for name, book in ended.books] == [
        ("archive", 5, 0),
        ("check", 5, 0),
    ]
