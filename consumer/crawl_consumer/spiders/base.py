"""The spider: a class of the user's that takes pages apart."""

import inspect
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from crawl_consumer.follow import FollowAll
from crawl_consumer.page import Page
from crawl_consumer.spiders.hooks import Failure, Finished, overridden
from crawl_consumer.spiders.items import Yielded, Yields
from crawl_consumer.spiders.middlewares import RequestMiddleware, ResponseMiddleware
from crawl_consumer.spiders.rules import Rule

#: The method of pages whose link named none.
DEFAULT_METHOD = "parse"


class Spider:
    """Takes pages apart. Subclasses override :meth:`parse`; one instance serves all pages of a process.

    Further methods of one page are parsed for links that name them: ``page.follow(link, to="article")``. Names that
    begin with an underscore are the spider's own.
    """

    #: Names the spider in logs, and what is remembered of it.
    name: ClassVar[str] = "pages"

    class Settings(BaseModel):
        """What can be set in exchanges.yaml; a spider's own has fields: ``class Settings(Spider.Settings): ...``."""

        model_config = ConfigDict(frozen=True, extra="forbid")

    #: Links to follow without code, see :class:`crawl_consumer.spiders.rules.Rule`. With rules :meth:`parse` yields
    #: nothing unless it is overridden.
    rules: ClassVar[Sequence[Rule]] = ()

    #: Async functions that see each request before it is sent, in this order, when robots.txt and host have agreed.
    request_middlewares: ClassVar[tuple[RequestMiddleware, ...]] = ()
    #: Async functions that see each response before it is judged and parsed, in this order.
    response_middlewares: ClassVar[tuple[ResponseMiddleware, ...]] = ()

    #: An instance of :class:`Settings`, there before ``__init__`` runs. Annotate it (``settings: Settings``) for types.
    settings: Any = cached_property(lambda self: type(self).Settings())

    def parse(self, page: Page) -> Yields:
        """Yield items to keep and follows to crawl; it may be a generator, an async one, or return a list.

        Unless overridden it yields one record about the page and follows all its links. It is not called for
        redirects and errors.
        """
        return () if self.rules else _record_and_links(page)

    # Hooks: each may be a plain or an async method. Those that are not overridden are not called.

    def on_start(self) -> Awaitable[None] | None:
        """Called once in each process, before its first page. If it raises, the process ends (exit code 13)."""

    def on_fetched(self, page: Page) -> Awaitable[None] | None:
        """Called for every answer, whatever its status, before it is parsed. If it raises, that is a dead letter."""

    def on_item(self, page: Page, item: Any) -> Awaitable[None] | None:
        """Called for every item that is about to be kept, as it was yielded. If it raises, the page is a dead letter.

        After a crash a page is fetched again, and its items come again.
        """

    def on_retry(self, failure: Failure, delay_s: float) -> Awaitable[None] | None:
        """Called when a URL is about to be tried again, ``delay_s`` seconds later. If it raises, that is logged."""

    def on_failure(self, failure: Failure) -> Awaitable[None] | None:
        """Called when a URL is about to become a dead letter; after a crash, again. If it raises, that is logged."""

    def on_finish(self, finished: Finished) -> Awaitable[None] | None:
        """Called when the crawl is complete, by one of all processes that serve a spider of this name.

        At least once: if that process dies meanwhile, another one, or the next to be started, calls it again. Once more
        when a crawl that was complete got new URLs and is complete again. If it raises, that is logged, and counts.
        """

    def record(self, page: Page) -> Yields:
        """Yield one record about the page, and follow nothing: ``page.follow(link, to="record")``."""
        return (record_of(page, len(page.links())),)


@dataclass(frozen=True, slots=True)
class Pages:
    """What is kept of a page unless a spider says otherwise; the class names the table in databases.

    Attributes:
        url: canonical.
        status: the HTTP status.
        content_type: the media type.
        title: white space collapsed.
        depth: links away from its seed.
        parent: the page that it was found on.
        time: of the fetch, ISO 8601 in UTC.
        bytes: of its body.
        links: distinct ones.
    """

    url: str
    status: int
    content_type: str
    title: str | None
    depth: int
    parent: str | None
    time: str
    bytes: int
    links: int


def record_of(page: Page, links: int) -> Pages:
    """The default record of a page that has so many links."""
    return Pages(
        page.url,
        page.status,
        page.content_type,
        page.title,
        page.depth,
        page.parent,
        datetime.fromtimestamp(page.fetched_at, UTC).isoformat(timespec="milliseconds"),
        page.size_bytes,
        links,
    )


@cache
def methods(spider: type[Spider]) -> frozenset[str]:
    """The names of the methods that a link may name: what the spider adds to this class, ``parse`` and ``record``.

    Messages are no more trusted than pages, so a hook or a private method is none of them.
    """
    added = [name for name in dir(spider) if not name.startswith("_") and not hasattr(Spider, name)]
    called = [name for name in added if inspect.isroutine(getattr(spider, name))]
    return frozenset([*called, DEFAULT_METHOD, "record"])


def _record_and_links(page: Page) -> Iterator[Yielded]:
    found = page.links()
    yield record_of(page, len(found))
    yield FollowAll(found)


def has(spider: Spider, hook: str) -> bool:
    """Whether the spider has a hook of its own."""
    kind: type = type(spider)
    return hook in overridden(kind, Spider)


def skims(spider: Spider, method: str | None) -> bool:
    """Whether a page that is for this method is asked for its links, its title and its meta elements only.

    That is so where the method is one of :class:`Spider` itself, and no hook sees pages.
    """
    kind: type = type(spider)
    return (method or DEFAULT_METHOD) in _skimming(kind)


@cache
def _skimming(spider: type[Spider]) -> frozenset[str]:
    inherited = [name for name in (DEFAULT_METHOD, "record") if getattr(spider, name) is getattr(Spider, name)]
    kind: type = spider
    sees_more = spider.rules or overridden(kind, Spider) & {"on_fetched", "on_item"}
    return frozenset() if sees_more else frozenset(inherited)
