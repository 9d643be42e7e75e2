"""A spider on a saved page, without servers: for the tests of whoever writes spiders.

::

    from crawl_consumer.testing import page_from, run_spider
    from my_spiders import News

    def test_the_front_page_leads_to_articles():
        page = page_from("<a href=/2026/a>a</a>", url="https://news.example/")
        assert [link.to for link in run_spider(News, page).follows] == ["article"]
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.page import Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.spider import Invalid, Spider, lack, run
from crawl_consumer.spiders.checking import check
from crawl_dedup import canonicalize, host
from crawl_producer import topology_file
from crawl_producer.errand import Errand
from crawl_producer.message import UrlMessage
from crawl_producer.own_routes import Reach
from crawl_producer.reach import queues_reached
from crawl_producer.routing import Router
from crawl_producer.scope import Scope
from crawl_producer.topology import Topology

_CRAWL = "test"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that the spider follows.

    Attributes:
        url: canonical.
        to: the method that parses the page behind it; None: ``parse``.
        meta: what it carries.
        priority: among the messages of its queue.
        exchange: where its message would be published …
        key: … and with which routing key; both None when no topology was given.
        queues: the work queues that would get it.
        outside: why it does not belong to the crawl (``host``, ``depth``, ``deny`` …); None when it does.
    """

    url: str
    to: str | None = None
    meta: Mapping[str, Any] | None = None
    priority: int | None = None
    exchange: str | None = None
    key: str | None = None
    queues: frozenset[str] = frozenset()
    outside: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What a spider made of a page, in the order in which it was yielded.

    Attributes:
        items: as they were yielded; those of ``page.item`` are instances of their models.
        invalid: those that their models refused, each with its ``error``.
        follows: distinct links.
        rejected: references that are no URL to crawl, counted by reason.
    """

    items: Sequence[Any]
    invalid: Sequence[Invalid]
    follows: Sequence[Link]
    rejected: Mapping[str, int]


def page_from(
    source: str | bytes | Path,
    *,
    url: str = "https://site.example/",
    status: int = 200,
    content_type: str = "text/html",
    headers: Mapping[str, str] | None = None,
    to: str | None = None,
    meta: Mapping[str, Any] | None = None,
    depth: int = 0,
    parent: str | None = None,
) -> Page:
    """A page as a spider gets it.

    Args:
        source: its markup as text or bytes, or the file (a Path) that holds it.
        url: where it is supposed to come from.
        status: the HTTP status.
        content_type: the media type.
        headers: further response fields.
        to: the method that it is for; None: ``parse``.
        meta: what its link carried.
        depth: links away from its seed.
        parent: the page that it was found on.

    Raises:
        UrlInvalid, OSError, ValidationError: an argument is none.
    """
    body = source.read_bytes() if isinstance(source, Path) else source.encode() if isinstance(source, str) else source
    message = UrlMessage(
        crawl=_CRAWL, url=canonicalize(url), to=to, meta=dict(meta) if meta else None, depth=depth, parent=parent
    )
    response = Response(
        url=message.url,
        status=status,
        headers=Headers(headers),
        body=body,
        content_type=content_type,
        header_charset="utf-8" if isinstance(source, str) else None,
    )
    return Page(response, message)


def run_spider(
    spider: Spider | type[Spider],
    page: Page,
    *,
    topology: Path | Topology | None = None,
    crawl: str | None = None,
    elsewhere: Collection[str] = (),
) -> Ran:
    """Let a spider parse a page. Middlewares and hooks are not called, and what the page asks of robots is not obeyed.

    Args:
        spider: the class, made with default settings, or an instance.
        page: from :func:`page_from`.
        topology: exchanges.yaml; with it links tell where they would be published and whether they are in scope.
        crawl: which of its crawls; None: the only one.
        elsewhere: methods of spiders that serve other queues; a link may name them.

    Raises:
        SpiderRaised: the spider did; the cause is its error.
        SpiderInvalid: a link names a method that is nowhere, or a rule is wrong.
        RouteInvalid: a link's own route leads nowhere.
        RuntimeError: an event loop runs already; await :func:`run_spider_async`.
    """
    return asyncio.run(run_spider_async(spider, page, topology=topology, crawl=crawl, elsewhere=elsewhere))


async def run_spider_async(
    spider: Spider | type[Spider],
    page: Page,
    *,
    topology: Path | Topology | None = None,
    crawl: str | None = None,
    elsewhere: Collection[str] = (),
) -> Ran:
    """As :func:`run_spider`, for tests that are coroutines."""
    made = spider() if isinstance(spider, type) else spider
    check(made)
    parsed = await run(made, page)
    for errand in parsed.errands.values():
        if errand.to not in elsewhere and (lacking := lack(made, errand.to)):
            raise SpiderInvalid(lacking, remedy="if another queue's spider has it, name it in elsewhere=")
    where = None if topology is None else _Where(topology, crawl)
    links = [_link(url, parsed.errands.get(url) or Errand(), page, where) for url in parsed.follows]
    return Ran([item.thing for item in parsed.items], parsed.invalid, links, parsed.rejected)


class _Where:
    """The routes and the scope of one crawl."""

    def __init__(self, topology: Path | Topology, crawl: str | None) -> None:
        if isinstance(topology, Path):
            topology = topology_file.load(topology_file.Found(topology, "test"))
        if crawl is None:
            (crawl,) = topology.crawls
        spec = topology.crawls[crawl]
        self.topology, self.router, self.scope = topology, Router(spec), Scope(spec.scope)
        self.rules = spec.canonical.rules()
        self.reach = Reach(topology, crawl)


def _link(url: str, errand: Errand, page: Page, where: _Where | None) -> Link:
    url = where.rules(url) if where else url
    link = Link(url, errand.to, errand.fields().get("meta"), errand.priority)
    if where is None:
        return link
    where.reach.check([errand])
    named = errand.route
    exchange, key = where.router.route(url, seed=False) if named is None else where.router.named(named)
    queues = queues_reached(where.topology, exchange, key)
    outside = where.scope.refusal(url, depth=page.depth + 1, root=host(page.url))
    return replace(link, exchange=exchange, key=key, queues=queues, outside=outside)
