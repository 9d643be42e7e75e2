"""One page through a spider: its items and follows are collected, and its errors are told with their place."""

import inspect
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawl_consumer.errors import SpiderRaised
from crawl_consumer.follow import Follow, FollowAll
from crawl_consumer.page import Page
from crawl_consumer.spiders import blame, hooks, rules
from crawl_consumer.spiders.base import DEFAULT_METHOD, Spider, has, methods
from crawl_consumer.spiders.items import Invalid, Made, made
from crawl_dedup import shown
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


class _Taken:
    """What a spider has yielded for one page, sorted."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._items: list[Made] = []
        self._invalid: list[Invalid] = []
        self._follows: dict[str, None] = {}
        self._errands: dict[str, Errand] = {}

    def taker(self) -> Callable[[object], None]:
        """Takes the next thing; raises TypeError for what may not be yielded.

        A closure, because a page has dozens of links, and to look things up in ``self`` for each of them is felt. It
        is not kept here: a circle would keep the page and its tree until somebody collects garbage.
        """
        follows, resolve, rejected = self._follows, self._page.resolve, self._page.rejected

        def take(thing: object) -> None:
            if isinstance(thing, FollowAll):
                if not self._take_at_once(thing):
                    for href in thing.urls:
                        follow(href, thing.errand)
            elif isinstance(thing, Follow):
                follow(*thing)
            else:
                self._keep(thing)

        def follow(href: str, errand: Errand | None) -> None:
            if not href:  # an <a> without href
                rejected["no_href"] += 1
                return
            try:
                url = resolve(href)
            except UrlInvalid:  # the page counted it
                return
            follows[url] = None
            if errand is not None:
                self._errands.setdefault(url, errand)

        return take

    def _take_at_once(self, several: FollowAll) -> bool:
        """Take what the page has resolved itself, which is what most pages' links come down to; False: it has not."""
        if not self._page.has_resolved(several.urls):
            return False
        self._follows.update(dict.fromkeys(several.urls))
        if several.errand is not None:
            self._errands.update(dict.fromkeys(several.urls, several.errand) | self._errands)
        return True

    def _keep(self, thing: object) -> None:
        item = made(thing, len(self._items) + len(self._invalid))
        if isinstance(item, Made):
            self._items.append(item)
        else:
            self._invalid.append(item)

    def parsed(self) -> Parsed:
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
        raise SpiderRaised(f"{lacking} (on {shown(page.url)})")
    taken = _Taken(page)
    take = taken.taker()
    try:
        result: Any = getattr(spider, name)(page)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, AsyncIterable):
            async for thing in result:
                take(thing)
        elif result is not None:
            for thing in result:
                take(thing)
        if spider.rules and rules.apply_to(spider.rules, page.to):
            for follow in rules.follows(spider.rules, page):
                take(follow)
    except blame.RAISED as error:
        blame.unless_we_are_stopped(error)
        raise SpiderRaised(_in_one_line(spider, name, page, error)) from error
    return taken.parsed()


async def called(spider: Spider, hook: str, page: Page, *arguments: object) -> None:
    """Call a hook that is about a page, if the spider has it.

    Raises:
        SpiderRaised: it did.
    """
    if has(spider, hook):
        try:
            await hooks.call(spider, hook, page, *arguments)
        except blame.RAISED as error:
            blame.unless_we_are_stopped(error)
            raise SpiderRaised(_in_one_line(spider, hook, page, error)) from error


def lack(spider: Spider, name: str | None) -> str:
    """Says that ``spider`` lacks the method that a link names; empty when it has it."""
    kind: type = type(spider)
    if name is None or name in methods(kind):
        return ""
    return f"spider {kind.__qualname__} has no method {name!r}, which the link to the page names"


def _in_one_line(spider: Spider, method: str, page: Page, error: BaseException) -> str:
    kind = type(spider)
    return blame.in_one_line(f"{kind.__qualname__}.{method}", getattr(kind, method), page.url, error)
