"""A page as a spider sees it: the response, parsed when it is first asked for what only parsing can tell.

Whatever the web sends, nothing here raises because of it: markup that cannot be parsed makes an empty tree.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from lxml import etree
from parsel import Selector, SelectorList

from crawl_consumer import links, markup, parser, tags, title
from crawl_consumer.charset import detect
from crawl_consumer.follow import Follow, FollowAll
from crawl_consumer.links import Patterns
from crawl_consumer.page_links import PageLinks
from crawl_consumer.parser import MAX_DEPTH
from crawl_consumer.response import Response
from crawl_consumer.spiders.items import Draft
from crawl_consumer.tame import is_skimmable
from crawl_dedup.errors import UrlInvalid
from crawl_producer.errand import Errand
from crawl_producer.message import UrlMessage

__all__ = ["MAX_DEPTH", "Follow", "Page"]


class Page:
    """A fetched page.

    Args:
        response: what the fetch brought.
        message: the URL message that it was fetched for.

    Attributes:
        url: its canonical URL; the base of its links unless it has a ``<base href>``.
        status: the HTTP status.
        headers: the response's fields, looked up in any case.
        body: bytes, decoded from their content coding; empty when they were not downloaded.
        content_type: the media type in lower case; empty when there was none.
        size_bytes: length of the body, or what Content-Length announced of one that was not downloaded.
        depth: links away from its seed.
        parent: the page it was found on; None for a seed.
        redirects: redirects since the last link.
        to: the spider's method that the page is for; None: ``parse``.
        meta: what the link that led here carried; see :meth:`follow`.
        elapsed_ms: how long the fetch took.
        fetched_at: Unix time of the fetch, seconds.
        tls_verified: false: its host's certificate was not verified, because the crawl says so (``tls: unverified``).
        rejected: references that are no URL to crawl, counted by reason (``scheme``, ``syntax``, …).
    """

    def __init__(self, response: Response, message: UrlMessage) -> None:
        self.url = response.url
        self.status = response.status
        self.headers = response.headers
        self.body = response.body
        self.content_type = response.content_type
        self.size_bytes = response.size_bytes
        self.elapsed_ms = response.elapsed_ms
        self.fetched_at = response.fetched_at
        self.tls_verified = response.tls_verified
        self.depth = message.depth
        self.parent = message.parent
        self.redirects = message.redirects
        self.to = message.to
        self.meta: Mapping[str, Any] = message.meta or {}
        self.rejected: Counter[str] = Counter()
        self._header_charset = response.header_charset

    def __repr__(self) -> str:
        return f"Page({self.url!r}, status={self.status}, content_type={self.content_type!r}, depth={self.depth})"

    @cached_property
    def is_html(self) -> bool:
        """Whether it is to be read as HTML: its media type says so, or there is none and it begins like it."""
        return markup.is_html(self.content_type, self.body)

    @cached_property
    def encoding(self) -> str:
        """The character encoding of the body, by a name that Python knows."""
        return detect(self.body, self._header_charset)

    @property
    def tree(self) -> etree._Element:
        """The root element; an empty ``html`` when the page is not HTML, or nothing came out of parsing it."""
        return self._parsed[0]

    @property
    def parse_error(self) -> str | None:
        """Why the tree is empty or cut short, None for any page that a browser would show, however faulty."""
        return self._parsed[1]

    @cached_property
    def title(self) -> str | None:
        """The title, white space collapsed; of a longer one its first 4,096 characters."""
        return title.in_tree(self.tree)

    @cached_property
    def text(self) -> str:
        """What there is to read, without title, scripts and styles; white space collapsed. Plain text as it is."""
        if not self.is_html:
            return self.in_utf8().decode("utf-8", "replace")
        return markup.text(self.tree)

    @cached_property
    def selector(self) -> Selector:
        """A parsel selector on the same tree (https://parsel.readthedocs.io/)."""
        return Selector(root=self.tree, type="html")

    @property
    def base_url(self) -> str:
        """What references on this page are relative to."""
        return self._links.base_url

    @property
    def metas(self) -> list[tuple[str, str]]:
        """Name and content of its meta elements."""
        return self._links.tags.metas

    @property
    def unendorsed(self) -> frozenset[str]:
        """The canonical URLs that it links to, but only with ``rel`` nofollow, ugc or sponsored."""
        return self._links.unendorsed

    def css(self, query: str) -> SelectorList[Selector]:
        """Select by CSS, for example ``page.css("h1::text").getall()``."""
        return self.selector.css(query)

    def xpath(self, query: str) -> SelectorList[Selector]:
        """Select by XPath, for example ``page.xpath("//h1/text()").getall()``."""
        return self.selector.xpath(query)

    def json(self) -> Any:
        """The body read as JSON.

        Raises:
            ValueError: it is none.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deep to be read") from None

    def in_utf8(self) -> bytes:
        """Its body in UTF-8, which is what is parsed."""
        return markup.in_utf8(self.body, self.encoding)

    def skim(self) -> bool:
        """Read its links, its meta elements and its title now, without a tree; false: it takes one, or is no HTML."""
        if not (self.is_html and is_skimmable(text := self.in_utf8())):
            return False
        certain, said = title.at_a_glance(text)
        if certain:
            made = PageLinks(parser.skim(text), self.url, self.encoding, self.rejected)
            self.__dict__.update(title=said, _links=made)
        return certain

    def parse_shallow(self) -> bool:
        """Parse it now, unless it nests deeper than hardly any page does; whether it is parsed."""
        made = parser.parse_shallow(self.in_utf8())
        if made is not None:
            self.__dict__["_parsed"] = _tree_of(*made)
        return made is not None

    def parse_apart(self) -> None:
        """Parse it now, in a thread that parses on while the trees that it has made are used in others."""
        if "_parsed" not in self.__dict__:
            self.__dict__["_parsed"] = self._parse(apart=True)

    def read_apart(self) -> None:
        """As :meth:`parse_apart`, and find its links."""
        self.parse_apart()
        self._links.found  # noqa: B018 - what is asked for once is kept

    def give_up(self, why: str) -> None:
        """Take it for a page without markup from now on, and ``why`` for the parser's error."""
        self.__dict__["_parsed"] = etree.Element("html"), why
        self.__dict__["_links"] = PageLinks(tags.NO_TAGS, self.url, self.encoding, self.rejected)

    def links(
        self, *, css: str | None = None, xpath: str | None = None, allow: Patterns = (), deny: Patterns = ()
    ) -> list[str]:
        """The distinct canonical http(s) URLs that the page links to, in document order; see ``rejected``.

        Args:
            css: only links in (or at) what this selects, for example ``nav`` or ``a.next``; or attributes.
            xpath: likewise; of both, all.
            allow: regular expressions; when given, one must be found in the URL.
            deny: none of these may be.

        Raises:
            ValueError: a selector is wrong.
            re.error: a pattern is.
        """
        if css is None and xpath is None:
            found = self._links.all()
        else:
            found = self._links.within([*(self.css(css) if css else ()), *(self.xpath(xpath) if xpath else ())])
        return links.chosen(found, allow, deny) if allow or deny else found

    def resolve(self, href: str) -> str:
        """The canonical URL of a reference on this page.

        Raises:
            UrlInvalid: it is none that could be crawled; the message is the reason, and it was counted.
        """
        return self._links.resolve_or_count(href)

    def item(self, model: type, /, **fields: object) -> Draft:
        """An item of this class, to be yielded: it is validated then, and a refused one is a dead letter of its own.

        To make it at once, ``yield Article(title=...)``, is fine as well, but where that raises, the whole page fails.

        Args:
            model: a pydantic model, or a dataclass, whose values are checked against its annotations.
            fields: the values.
        """
        return Draft(model, fields)

    def follow(
        self,
        link: object,
        *,
        to: str | Callable[..., object] | None = None,
        route: str | tuple[str, str] | None = None,
        priority: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Follow:
        """The wish to crawl a link of this page. What is no URL to crawl is counted in ``rejected`` when it is yielded.

        Args:
            link: a reference, or a selector or element of an ``a``, ``area`` or ``link``, or of an attribute.
            to: the spider's method (or its name) that parses the page behind it; None: ``parse``.
            route: publish it with this routing key, or this (exchange, routing key), whatever the crawl's routes say.
            priority: 1 … 10, for queues with ``max_priority``: higher ones are fetched first. Others ignore it.
            meta: a small JSON object (1 KiB) that comes with the page, as :attr:`meta`.

        Raises:
            ValueError: ``to``, ``route``, ``priority`` or ``meta`` is not possible; the message says why.
            TypeError: ``link`` is none.
        """
        href = links.reference(link)
        errand = _errand(to, route, priority, meta)
        with suppress(UrlInvalid):  # whoever takes it counts it
            href = self._links.resolve(href) if href else href
        return Follow(href, errand)

    def follow_all(
        self,
        found: Iterable[object] | None = None,
        *,
        to: str | Callable[..., object] | None = None,
        route: str | tuple[str, str] | None = None,
        priority: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> FollowAll:
        """The wish to crawl several links of this page: ``yield page.follow_all(page.links(css="nav"))``.

        Args:
            found: URLs from :meth:`links`, or anything that :meth:`follow` takes; None: all links of the page.
            to: as for :meth:`follow`, the same for each; so are the others.
            route: see there.
            priority: see there.
            meta: see there.

        Raises:
            ValueError, TypeError: as :meth:`follow`.
        """
        urls = self.links() if found is None else [links.reference(link) for link in found]
        return FollowAll(urls, _errand(to, route, priority, meta))

    def has_resolved(self, urls: Iterable[str]) -> bool:
        """Whether all of these are canonical URLs that this page has resolved references to."""
        return self._links.has_resolved(urls)

    @cached_property
    def _links(self) -> PageLinks:
        unparsed = self.in_utf8() if self.parse_error else b""
        return PageLinks(tags.in_tree(self.tree), self.url, self.encoding, self.rejected, unparsed=unparsed)

    @cached_property
    def _parsed(self) -> tuple[etree._Element, str | None]:
        return self._parse()

    def _parse(self, *, apart: bool = False) -> tuple[etree._Element, str | None]:
        return _tree_of(*parser.parse(self.in_utf8(), apart=apart) if self.is_html else (None, None))


def _tree_of(root: etree._Element | None, error: str | None) -> tuple[etree._Element, str | None]:
    return etree.Element("html") if root is None else root, error


def _errand(
    to: str | Callable[..., object] | None,
    route: str | tuple[str, str] | None,
    priority: int | None,
    meta: Mapping[str, Any] | None,
) -> Errand | None:
    name = getattr(to, "__name__", to) if callable(to) else to
    return Errand.of(to=name, route=route, priority=priority, meta=meta)
