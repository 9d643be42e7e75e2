"""The links of one page: resolved by what they are relative to there, once, and counted where they are no URL to crawl.

What a page says is in :mod:`crawl_consumer.tags`, and what a reference means in :mod:`crawl_consumer.resolving`;
here both are remembered.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import Any

from crawl_consumer import links, resolving
from crawl_consumer.tags import Tags
from crawl_dedup.canonical import join
from crawl_dedup.errors import UrlInvalid


class PageLinks:
    """The links of one page.

    Args:
        tags: what the page says there.
        url: the page's own, canonical.
        encoding: the page's; queries of references are in it.
        rejected: here references that a spider asks for and that are no URL to crawl are counted, by reason.
        unparsed: the page in UTF-8 when not all of it was read.

    Attributes:
        tags: see there.
    """

    def __init__(self, tags: Tags, url: str, encoding: str, rejected: Counter[str], *, unparsed: bytes = b"") -> None:
        self.tags, self._url, self._encoding, self._unparsed = tags, url, encoding, unparsed
        self._rejected = rejected
        self._not_resolved: Counter[str] = Counter()  #: of the page's links, until a spider asks for them
        self._resolved: set[str] = set()

    @cached_property
    def base_url(self) -> str:
        """What references are relative to: the page's ``<base href>`` if it is an http(s) URL, else its own URL.

        https://html.spec.whatwg.org/multipage/urls-and-fetching.html#document-base-url
        """
        if self.tags.base is not None:
            with suppress(UrlInvalid):
                return join(self._url, self.tags.base)
        return self._url

    @cached_property
    def found(self) -> dict[str, bool]:
        """The canonical URL of each link in document order, and whether the page vouches for one of its links there."""
        found: dict[str, bool] = {}
        references = self.tags.references
        if self._unparsed:
            text, self._unparsed = self._unparsed.decode("utf-8", "replace"), b""
            references = references | dict.fromkeys(links.hrefs_of_text(text), True)
        if self.tags.left_out:
            self._not_resolved["too_many_links"] += self.tags.left_out
        known = resolving.remembered(self._folder) if self._encoding.startswith("utf") else {}
        for href, endorsed in references.items():
            if (url := known.get(href)) is None:
                try:
                    url = self.resolve(href)
                except UrlInvalid as error:
                    self._not_resolved[str(error)] += 1
                    continue
            found[url] = endorsed or found.get(url, False)
        self._resolved.update(found)
        return found

    @cached_property
    def unendorsed(self) -> frozenset[str]:
        """The canonical URLs of links that the page vouches for nowhere."""
        return frozenset([url for url, endorsed in self.found.items() if not endorsed])

    def all(self) -> list[str]:
        """The distinct canonical URLs of all links in document order; the others are counted at the first call."""
        urls = list(self.found)
        self._rejected.update(self._not_resolved)
        self._not_resolved.clear()
        return urls

    def within(self, regions: Iterable[Any]) -> list[str]:
        """Those of the links in and at what selectors have found."""
        references = dict.fromkeys([reference for region in regions for reference in links.references_in(region)])
        urls: dict[str, None] = {}
        for reference in references:
            with suppress(UrlInvalid):  # it was counted
                urls[self.resolve_or_count(reference)] = None
        return list(urls)

    def resolve(self, href: str) -> str:
        """The canonical URL of a reference. Raises UrlInvalid: it is none to crawl; the message is the reason."""
        if href in self._resolved:  # canonical URLs stand for themselves
            return href
        if not href.isascii() and not self._encoding.startswith("utf"):
            href = resolving.with_encoded_query(href, self._encoding)
        url = resolving.resolve(self.base_url, self._folder, href)
        self._resolved.add(url)
        return url

    def resolve_or_count(self, href: str) -> str:
        """As :meth:`resolve`; what is refused is counted as well."""
        try:
            return self.resolve(href)
        except UrlInvalid as error:
            self._rejected[str(error)] += 1
            raise

    def has_resolved(self, urls: Iterable[str]) -> bool:
        """Whether all of these are canonical URLs that references have been resolved to."""
        return self._resolved.issuperset(urls)

    @cached_property
    def _folder(self) -> str:
        return resolving.folder(self.base_url)
