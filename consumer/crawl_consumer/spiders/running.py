"""One page through a spider: its items and follows are collected, and its errors are told with their place."""

import inspect
from collections import Counter
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawl_consumer.errors import SpiderRaised
from crawl_consumer.follow import Follow
from crawl_consumer.page import Page
from crawl_consumer.spiders import blame, hooks, rules
from crawl_consumer.spiders.base import DEFAULT_METHOD, Spider, has, methods
from crawl_consumer.spiders.items import Invalid, Made, made
from crawl_dedup.errors import UrlInvalid
from crawl_producer.errand import Errand


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a spider made of a page.

    Attributes:
        items: in the order in which they were yielded.
        follows: distinct canonical URLs, in the order in which they were yielded.
        rejected: references that are no URL to crawl, counted by reason.
        errands: what goes with some of the follows; if a URL was yielded several times, the first errand.
        invalid: items that their models refused.
    """

    items: tuple[Made, ...] = ()
    follows: tuple[str, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=Counter)
    errands: Mapping[str, Errand] = field(default_factory=dict)
    invalid: tuple[Invalid, ...] = ()


class _Taking:
    """Sorts what a spider yields for one page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._items: list[Made] = []
        self._invalid: list[Invalid] = []
        self._follows: dict[str, None] = {}
        self._errands: dict[str, Errand] = {}

    def take(self, thing: object) -> None:
        """Raises TypeError: it is nothing that may be yielded."""
        if isinstance(thing, Follow):
            self._follow(thing)
        else:
            item = made(thing, len(self._items) + len(self._invalid))
            if isinstance(item, Made):
                self._items.append(item)
            else:
                self._invalid.append(item)

    def _follow(self, follow: Follow) -> None:
        if not follow.url:  # an <a> without href
            self._page.rejected["no_href"] += 1
            return
        try:
            url = self._page.resolve(follow.url)
        except UrlInvalid:  # the page counted it
            return
        self._follows[url] = None
        if follow.errand is not None:
            self._errands.setdefault(url, follow.errand)

    def taken(self) -> Parsed:
        """All of it."""
        follows, invalid = tuple(self._follows), tuple(self._invalid)
        return Parsed(tuple(self._items), follows, self._page.rejected, self._errands, invalid)


async def run(spider: Spider, page: Page) -> Parsed:
    """Let the method of ``spider`` that ``page`` is for parse it to the end.

    Raises:
        SpiderRaised: it has no such method, its code did, or it yielded something that is neither an item nor a follow.
    """
    name = page.to or DEFAULT_METHOD
    if lacking := lack(spider, name):
        raise SpiderRaised(f"{lacking} (on {page.url})")
    taking = _Taking(page)
    try:
        result: Any = getattr(spider, name)(page)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, AsyncIterable):
            async for thing in result:
                taking.take(thing)
        elif result is not None:
            for thing in result:
                taking.take(thing)
        if spider.rules and rules.apply_to(spider.rules, page.to):
            for follow in rules.follows(spider.rules, page):
                taking.take(follow)
    except Exception as error:
        raise SpiderRaised(_in_one_line(spider, name, page, error)) from error
    return taking.taken()


async def called(spider: Spider, hook: str, page: Page, *arguments: object) -> None:
    """Call a hook that is about a page, if the spider has it.

    Raises:
        SpiderRaised: it did.
    """
    if has(spider, hook):
        try:
            await hooks.call(spider, hook, page, *arguments)
        except Exception as error:
            raise SpiderRaised(_in_one_line(spider, hook, page, error)) from error


def lack(spider: Spider, name: str | None) -> str:
    """Says that ``spider`` lacks the method that a link names; empty when it has it."""
    kind: type = type(spider)
    if name is None or name in methods(kind):
        return ""
    return f"spider {kind.__qualname__} has no method {name!r}, which the link to the page names"


def _in_one_line(spider: Spider, method: str, page: Page, error: Exception) -> str:
    kind = type(spider)
    return blame.in_one_line(f"{kind.__qualname__}.{method}", getattr(kind, method), page.url, error)
