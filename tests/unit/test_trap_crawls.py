"""Whole crawls of sites without end: each ends, and whatever was left out is in the books with its reason."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from small_world import HOME, World, html


class Endless:
    """A web whose pages are made when they are asked for."""

    def __init__(self, page):
        self._page = page

    def get(self, url, _default):
        return self._page(url)


def crawled(page, *seeds, **crawl):
    """Seed, crawl to the end, and return the URLs that were fetched, and the books."""

    async def main():
        async with World(Endless(page), **crawl) as world:
            await world.seed(*(seeds or [HOME]))
            async with asyncio.timeout(60):
                await world.crawl()
            return world.web.fetched, await world.progress()

    fetched, books = asyncio.run(main())
    assert len(fetched) == len(set(fetched))
    assert books.complete
    filtered = sum(n for what, n in books.counts.items() if what.startswith("filtered:"))
    assert books.counts["discovered"] == books.admitted + books.counts.get("duplicate", 0) + filtered
    return fetched, books


def calendar(url):
    month = int(parse_qs(urlsplit(url).query).get("month", ["0"])[0])
    return html(f"/?month={month - 1}", f"/?month={month + 1}", title=f"month {month}")


def test_a_calendar_ends_where_its_host_has_had_its_pages():
    fetched, books = crawled(calendar, scope={"max_pages_per_host": 60})
    assert len(fetched) == books.admitted == 60
    assert books.outcomes == {"ok": 60}
    assert books.counts["filtered:max_pages_per_host"] > 0


def test_a_calendar_ends_where_it_is_too_deep():
    fetched, books = crawled(calendar, scope={"max_depth": 20})
    assert len(fetched) == 42  # ?month=0 is another URL than the seed
    assert books.counts["filtered:depth"] == 4


def test_a_limit_to_one_host_is_no_limit_to_another():
    def two_sites(url):
        return calendar(url) if url.startswith(HOME) else html()

    others = [f"https://other.example/{n}" for n in range(20)]
    _, books = crawled(two_sites, HOME, *others, scope={"max_pages_per_host": 20})
    assert books.admitted == 40


def test_a_path_that_repeats_itself_ends_by_default():
    fetched, books = crawled(lambda _url: html("a/b/"))
    assert fetched == [HOME + "a/b/" * rounds for rounds in range(5)]
    assert books.counts["filtered:same_segment"] == 1


def test_relative_links_that_recurse_in_all_ways_end_by_default():
    fetched, books = crawled(lambda _url: html("a/", "b/"))
    assert len(fetched) == 251  # the words of a and b with each four times at most: 10! / (5! 5!) - 1
    assert books.counts["filtered:same_segment"] == 126 + 126


def test_a_path_that_only_grows_ends_by_default():
    fetched, books = crawled(lambda url: html(f"{url.count('/')}/"))
    assert len(fetched) == 21
    assert books.counts == {"discovered": 22, "filtered:path_segments": 1} | {
        f"outcome:{outcome}": n for outcome, n in books.outcomes.items()
    }


def test_a_query_that_only_grows_ends_by_default():
    def filters(url):
        return html(url + ("&" if "?" in url else "?") + f"f{url.count('=')}=1")

    fetched, books = crawled(filters)
    assert len(fetched) == 31
    assert books.counts["filtered:query_parameters"] == 1


class Sessions:
    """Three articles and a front page; every link has a session id that nobody has seen before."""

    def __init__(self, form):
        self._form, self._number = form, 0

    def __call__(self, url):
        links = []
        for article in ("", "one", "two", "three"):
            self._number += 1
            links.append(self._form.format(article, f"{self._number:032x}"))
        return html(*links, title=url)


FORMS = ["/{}?PHPSESSID={}", "/{}?sid={}&", "/{};jsessionid={}"]


@pytest.mark.parametrize("form", FORMS)
def test_pages_behind_session_ids_are_fetched_once_where_those_are_dropped(form):
    fetched, books = crawled(Sessions(form), canonical={"drop_session_ids": True})
    assert sorted(fetched) == [HOME, HOME + "one", HOME + "three", HOME + "two"]
    assert (books.counts["discovered"], books.counts["duplicate"]) == (1 + 4 * 4, 13)


@pytest.mark.parametrize("form", FORMS)
def test_or_are_left_out_where_those_are_refused(form):
    fetched, books = crawled(Sessions(form), scope={"session_ids": False})
    assert fetched == [HOME]
    assert books.counts["filtered:session_id"] == 4


SAME = {"unique_content": {"of_last": 20, "min_share": 0.2}}


def test_a_host_that_brings_nothing_new_is_asked_no_more_and_its_urls_are_counted(caplog):
    def two_sites(url):
        if url.startswith("https://trap.example/"):
            return html("a/", "b/", "c/", "d/", title="always the same")
        number = int(url.rpartition("/")[2] or 0)
        links = ["https://trap.example/"] if number < 3 else []
        return html(*links, f"/{number + 1}" if number < 60 else "/", title=f"page {number}")

    fetched, books = crawled(two_sites, scope={**SAME, "any_host": True})
    in_trap = [url for url in fetched if "trap" in url]
    assert 20 <= len(in_trap) <= 24  # a few were in hand when it was found out
    assert len(fetched) - len(in_trap) == 61
    assert books.outcomes == {"ok": len(fetched), "trap": books.admitted - len(fetched)}
    assert books.outcomes["trap"] >= 40
    assert caplog.text.count("trap.example brings nothing new") == 1


def test_another_process_learns_of_a_trap_by_its_first_page_there():
    async def main():
        async with World(Endless(lambda _url: html("a/", "b/", "c/", title="same")), scope=SAME) as world:
            await world.seed(HOME)
            await world.crawl("first")
            before = len(world.web.fetched)
            await world.seed(*(f"{HOME}late{n}" for n in range(30)))
            await world.crawl("second", concurrency=1)
            return len(world.web.fetched) - before, await world.progress()

    more, books = asyncio.run(main())
    assert more == 1
    assert books.complete
    assert books.outcomes["trap"] >= 29


def test_many_pages_are_no_trap_while_they_differ():
    fetched, books = crawled(calendar, scope={**SAME, "max_depth": 40})
    assert books.outcomes == {"ok": len(fetched)}


def test_unless_a_crawl_looks_for_it_what_pages_bring_does_not_matter():
    fetched, books = crawled(lambda _url: html("a/", "b/", title="always the same"))
    assert books.outcomes == {"ok": len(fetched)}
