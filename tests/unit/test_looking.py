"""A URL as the crawler sees it: robots.txt first, redirects one by one, and what is told of each."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from crawl_consumer.errors import NoPage
from crawl_consumer.response import FailureKind
from crawl_consumer.robots import NoRobots, RobotsGate
from crawl_consumer.workbench import sight
from crawl_consumer.workbench.looking import Looker, page_of, url_of
from crawl_consumer.workbench.paced import Paced
from crawl_consumer.workbench.rules import CRAWL, default_topology
from crawl_dedup import MemoryRobots, MemoryRobotsStore
from small_world import HOME, SmallWeb, html, rules

SPEC = default_topology().crawls[CRAWL]


@asynccontextmanager
async def looker(web, *, obey=True):
    memory = MemoryRobots(MemoryRobotsStore(), "me")
    if not obey:
        yield Looker(SPEC, web, NoRobots(), memory)
        return
    async with RobotsGate(web, memory, SPEC.robots, token="CrawlMQ") as gate:
        yield Looker(SPEC, web, gate, memory)


def looks(pages, url=HOME, *, obey=True):
    web = SmallWeb(pages)

    async def look():
        async with looker(web, obey=obey) as looking:
            return await looking.look(url)

    return asyncio.run(look()), web


def told(pages, url=HOME):
    return sight.told(looks(pages, url)[0], SPEC)


def test_a_page_is_told_with_all_that_the_crawler_knows_of_it():
    (look,) = told({HOME: html("/a", "/b", title="Home"), f"{HOME}robots.txt": rules("crawl-delay: 3")})
    assert look["robots"] == {"verdict": "allowed", "because": "http_200", "crawl_delay_s": 3.0}
    assert (look["status"], look["outcome"], look["content_type"]) == (200, "ok", "text/html")
    assert (look["page"]["title"], look["page"]["links"], look["page"]["noindex"]) == ("Home", 2, False)


def test_each_redirect_is_a_look_of_its_own():
    pages = {HOME: (301, {"location": "/a"}, b""), f"{HOME}a": (302, {"location": "b"}, b""), f"{HOME}b": html()}
    assert [(one["url"], one["outcome"]) for one in told(pages)] == [
        (HOME, "redirect"),
        (f"{HOME}a", "redirect"),
        (f"{HOME}b", "ok"),
    ]


def test_a_circle_of_redirects_comes_to_an_end():
    seen, _ = looks({HOME: (301, {"location": HOME}, b"")})
    assert len(seen) == 11


def test_a_redirect_to_no_url_is_the_last_look():
    seen, _ = looks({HOME: (301, {"location": "ftp://elsewhere.example/"}, b"")})
    assert [look.outcome for look in seen] == ["redirect"]


def test_what_robots_txt_forbids_is_not_fetched():
    (look,), web = looks({f"{HOME}robots.txt": rules("disallow: /")})
    assert (look.outcome, look.response) == ("robots_denied", None)
    assert HOME not in web.fetched


def test_what_robots_txt_forbids_of_a_redirects_target_is_not_fetched():
    (_, look), web = looks({HOME: (301, {"location": "/x"}, b""), f"{HOME}robots.txt": rules("disallow: /x")})
    assert look.outcome == "robots_denied"
    assert f"{HOME}x" not in web.fetched


def test_without_robots_txt_nothing_is_fetched_and_the_reason_is_told():
    (look,) = told({f"{HOME}robots.txt": FailureKind.DNS})
    assert look["robots"] == {"verdict": "unreachable", "because": "dns: as told"}
    assert look["outcome"].startswith("parked for 3")


@pytest.mark.parametrize("obey", [True, False])
def test_what_is_blocked_says_why_and_what_helps(obey):
    seen, web = looks({HOME: FailureKind.BLOCKED, f"{HOME}robots.txt": FailureKind.BLOCKED}, obey=obey)
    (about,) = sight.told(seen, SPEC)
    shown = "\n".join(sight.lines([about]))
    assert (about["outcome"], len(web.fetched)) == ("blocked", 1)
    assert "blocked: as told" in shown or "blocked (as told)" in shown
    assert "--allow-network" in shown
    assert (about["robots"] == {"verdict": "blocked", "because": "as told"}) is obey
    with pytest.raises(NoPage, match=r"blocked.*as told") as caught:
        page_of(seen, CRAWL)
    assert "--allow-network" in caught.value.remedy


def test_a_crawl_that_does_not_obey_does_not_ask():
    (look,), web = looks({HOME: html()}, obey=False)
    assert (look.outcome, look.robots_because) == ("ok", "")
    assert web.fetched == [HOME]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [((404, {}, b""), "http_404"), ((503, {}, b""), "http_503: tried again after 2 s"),
     (FailureKind.TIMEOUT, "timeout: tried again after 2 s"), (FailureKind.TOO_LARGE, "too_large")],
)  # fmt: skip
def test_what_is_no_page_is_told_by_what_a_crawl_would_make_of_it(answer, outcome):
    (look,) = told({HOME: answer})
    assert look["outcome"] == outcome
    assert "page" not in look


def test_what_strangers_wrote_cannot_steer_the_terminal():
    page = (200, {"x-a": "\x1b[2J"}, b"<title>\x1b]0;mine\x07</title>")
    shown = "\n".join(sight.lines(told({HOME: page})))
    assert "mine" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_an_answer_that_is_an_error_is_a_page_to_look_at_and_none_at_all_is_not():
    seen, _ = looks({HOME: (404, {}, b"<title>no</title>")})
    page, message = page_of(seen, CRAWL, depth=2)
    assert (page.title, message.depth, message.root) == ("no", 2, "site.example")
    seen, _ = looks({HOME: FailureKind.TIMEOUT})
    with pytest.raises(NoPage, match=r"timeout.*as told"):
        page_of(seen, CRAWL)


def test_requests_to_one_host_are_apart_and_to_others_are_not():
    web = SmallWeb({})
    paced = Paced(web, 0.2)

    async def ask():
        await asyncio.gather(*map(paced.fetch, [f"{HOME}a", f"{HOME}b", "https://other.example/"]))

    started = time.monotonic()
    asyncio.run(ask())
    at = dict(zip(web.fetched, web.at, strict=True))
    assert at[f"{HOME}b"] - at[f"{HOME}a"] >= 0.2
    assert at["https://other.example/"] - started < at[f"{HOME}b"] - started


def test_what_is_typed_becomes_canonical_or_is_refused_with_the_remedy():
    assert url_of(" https://EXAMPLE.org#x") == "https://example.org/"
    with pytest.raises(ValueError, match="http://"):
        url_of("example.org")
