"""Cookies on real sockets: off unless asked for, and only ever for the host that set them."""

import asyncio

import pytest

from crawl_consumer import cookies
from crawl_consumer.fetch import Fetcher, FetchLimits
from dictionary_site import dictionary_site
from raw_web import LOOPBACK
from workbench_kit import ran

HOSTS = {"a.example": "127.0.0.1", "www.a.example": "127.0.0.1", "b.example": "127.0.0.1"}


def setting(cookie):
    return (200, {"Set-Cookie": cookie}, "")


@pytest.fixture
def site():
    with dictionary_site({}) as site:
        yield site


def sent(site, *requests, keep=True):
    """The Cookie field of each request, made one after the other; a path alone is of a.example."""

    async def fetch():
        got = []
        limits = FetchLimits(total_s=30)
        async with Fetcher(
            limits, user_agent="me", connections=1, guard=LOOPBACK, hosts=HOSTS, cookies=keep
        ) as fetcher:
            for request in requests:
                name, path = ("a.example", request) if request.startswith("/") else request.split("/", 1)
                path = "/" + path.lstrip("/")
                await fetcher.fetch(f"http://{name}:{site.port}{path}")
                got.append(site.headers[path].get("Cookie"))
        return got

    return asyncio.run(fetch())


def test_no_cookie_is_kept_unless_the_crawl_asks_for_it(site):
    site.pages["/"] = setting("s=1")
    assert sent(site, "/", "/next", keep=False) == [None, None]


def test_a_cookie_goes_back_to_its_host_and_to_no_other(site):
    site.pages["/"] = setting("s=1; Path=/")
    assert sent(site, "/", "/next", "b.example/", "www.a.example/x", "127.0.0.1/y") == [None, "s=1", None, None, None]


def test_a_host_cannot_set_cookies_for_its_neighbours(site):
    site.pages["/"] = setting("s=1; Domain=a.example; Path=/")
    assert sent(site, "www.a.example/", "a.example/x", "www.a.example/y") == [None, None, "s=1"]
    site.pages["/"] = setting("s=1; path=/;DOMAIN = .example")
    assert sent(site, "b.example/", "a.example/x", "b.example/y") == [None, None, "s=1"]


def test_paths_expiry_and_https_are_respected(site):
    site.pages |= {
        "/in/": setting("p=1; Path=/in"),
        "/old": setting("o=1; Max-Age=0"),
        "/safe": setting("t=1; Secure; Path=/"),
    }
    assert sent(site, "/in/", "/old", "/safe", "/in/x", "/out") == [None, None, None, "p=1", None]


def test_a_redirects_cookie_is_there_when_its_target_is_fetched(site):
    site.pages["/login"] = (302, {"Set-Cookie": "s=1; Path=/", "Location": "/home"}, "")
    assert sent(site, "/login", "/home") == [None, "s=1"]


def test_a_cookie_that_is_set_again_replaces_the_first(site):
    site.pages |= {"/1": setting("s=1; Path=/"), "/2": setting("s=2; Path=/")}
    assert sent(site, "/1", "/2", "/3") == [None, "s=1", "s=2"]


def test_no_host_fills_the_memory_with_cookies(site):
    most = cookies.COOKIES_PER_HOST
    site.pages |= {f"/{n}": setting(f"c{n}=1; Path=/") for n in range(most + 5)}
    site.pages["/long"] = setting("l=" + "x" * cookies.MAX_COOKIE_BYTES)
    *_, last = sent(site, *(f"/{n}" for n in range(most + 5)), "/long", "/last")
    assert last.split("; ") == [f"c{n}=1" for n in range(most, most + 5)]


def test_the_cookies_of_the_host_that_was_asked_longest_ago_go_first(site, monkeypatch):
    monkeypatch.setattr(cookies, "KEPT_HOSTS", 1)
    site.pages["/"] = setting("s=1; Path=/")
    assert sent(site, "/", "/next", "b.example/", "/last") == [None, "s=1", None, None]


def test_a_crawl_keeps_cookies_when_exchanges_yaml_says_so(site, tmp_path):
    site.pages |= {"/": (200, {"Set-Cookie": "s=1; Path=/"}, '<a href="/a">a</a>'), "/a": ""}
    for keep in ("true", "false"):
        (tmp_path / "exchanges.yaml").write_text(
            "exchanges: {x: {type: fanout}}\nqueues: {q: {crawl: c, bindings: [{exchange: x}]}}\n"
            f"crawls: {{c: {{exchange: x, cookies: {keep}}}}}\n"
        )
        ran("trial", site.home, "--quiet", folder=tmp_path)
        assert site.headers["/a"].get("Cookie") == ("s=1" if keep == "true" else None)
