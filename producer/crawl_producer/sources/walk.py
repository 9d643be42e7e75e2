"""The way through sitemaps and feeds: what each leads to, within the crawl's scope and within limits.

A sitemap is no more trusted than a page. Its pages are seeds only where the crawl's scope would let a link of the
site lead, and the lists it names are read only where they are on the site's hosts, unless its robots.txt names them
(https://www.sitemaps.org/protocol.html#sitemaps_cross_submits).
"""

import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from crawl_dedup import NO_RULES, CanonicalRules, UrlInvalid, canonicalize, host, join, shown
from crawl_producer.reading import in_thread
from crawl_producer.scope import Scope
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources import listing
from crawl_producer.sources.found import SHOWN_CHARS, Damaged, Found, NotAListing
from crawl_producer.sources.unpack import unpacked
from crawl_producer.sources.web import SourceWeb
from crawl_producer.topology import ScopeSpec

log = logging.getLogger(__name__)

#: Lists below the one that was asked for. The protocol allows one level of index files; robots.txt stands above it,
#: and large sites nest one deeper.
MAX_DEPTH = 3
#: Lists of one run: as many as one index may name.
MAX_LISTS = 50_000
#: Entries handed on at once.
BATCH = 500
#: A list up to this size never touches the disk.
_IN_MEMORY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _List:
    """A list to read.

    Attributes:
        url: canonical.
        depth: lists that led to it.
        roots: hosts whose site it speaks for.
        via: the list that names it; empty: the operator.
    """

    url: str
    depth: int
    roots: tuple[str, ...]
    via: str = ""


class Walk:
    """One run through some sitemaps and feeds.

    Args:
        urls: canonical; a robots.txt stands for the sitemaps that it names.
        web: fetches them.
        scope: the crawl's.
        rules: the crawl's, for entries.
        depth: that the seeds are to have.
        since_ms: Unix time; what was certainly changed last before is left out. None: nothing is.
        any_host: pages of every host are seeds, each of a site of its own.

    Attributes:
        lists: read so far.
        older: entries that were left out for ``since_ms``, lists among them.
        outside: entries that are outside of the scope, by reason.
    """

    def __init__(
        self,
        urls: Iterable[str],
        web: SourceWeb,
        scope: ScopeSpec,
        *,
        rules: CanonicalRules = NO_RULES,
        depth: int = 0,
        since_ms: int | None = None,
        any_host: bool = False,
    ) -> None:
        self.lists = 0
        self.older = 0
        self.outside: Counter[str] = Counter()
        self._web = web
        self._scope = Scope(scope)
        self._anywhere = Scope(scope.model_copy(update={"any_host": True})) if any_host else None
        self._hosts = Scope(ScopeSpec(hosts=scope.hosts, any_host=scope.any_host, subdomains=scope.subdomains))
        self._rules = rules
        self._depth = depth
        self._since_ms = since_ms
        self._todo = deque(_List(url, 0, (host(url),)) for url in dict.fromkeys(urls))
        self._seen = {todo.url for todo in self._todo}

    def __repr__(self) -> str:
        return f"<Walk: {self.lists} lists read, {len(self._todo)} to come>"

    async def batches(self) -> AsyncIterator[list[Seed | Rejected]]:
        """The seeds of every list, and what is wrong with lists and entries; to be iterated once."""
        while self._todo:
            todo = self._todo.popleft()
            with SpooledTemporaryFile(_IN_MEMORY_BYTES) as spooled:
                file = cast("BinaryIO", spooled)
                try:
                    url = await self._web.download(todo.url, file)
                except NotAListing as error:
                    yield [Rejected(0, todo.url, str(error), todo.via)]
                    continue
                file.seek(0)
                async for batch in in_thread(self._read(file, url, self._arrived(todo, url)), ahead=2):
                    yield batch

    def _arrived(self, todo: _List, url: str) -> _List:
        """A site that redirects what the operator asked for to another of its hosts moves along."""
        self.lists += 1
        log.info("reading %s", shown(url))
        self._seen.add(url)
        roots = dict.fromkeys((host(url), *todo.roots)) if todo.depth == 0 else todo.roots
        return _List(url, todo.depth, tuple(roots), todo.via)

    def _read(self, file: BinaryIO, url: str, todo: _List) -> Iterator[list[Seed | Rejected]]:
        batch: list[Seed | Rejected] = []
        number = 0
        try:
            for number, entry in enumerate(listing.read(unpacked(file), url), start=1):
                if (judged := self._judged(number, entry, todo)) is not None:
                    batch.append(judged)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        except NotAListing as error:
            batch.append(Rejected(number, url, str(error), url))
        if batch:
            yield batch

    def _judged(self, number: int, entry: Found | Damaged, todo: _List) -> Seed | Rejected | None:
        """The entry as a seed or a rejection; None where it is neither: left out, or a list to come."""
        if isinstance(entry, Damaged):
            return Rejected(number, entry.text, entry.reason, todo.url)
        if self._since_ms is not None and entry.modified_ms is not None and entry.modified_ms < self._since_ms:
            self.older += 1
            return None
        try:
            url = join(entry.base, entry.url) if entry.base else canonicalize(entry.url)
        except UrlInvalid as error:
            return Rejected(number, entry.url[:SHOWN_CHARS], str(error), todo.url)
        if entry.is_sitemap:
            reason = self._to_come(url, todo)
            return Rejected(number, url[:SHOWN_CHARS], reason, todo.url) if reason else None
        return self._page(number, self._rules(url), todo)

    def _page(self, number: int, url: str, todo: _List) -> Seed | None:
        refusals = []
        for root in todo.roots:
            refusal = self._scope.refusal(url, depth=self._depth, root=root)
            if refusal is None:
                return Seed(number, url, root)
            refusals.append(refusal)
        if self._anywhere is not None and self._anywhere.refusal(url, depth=self._depth, root=host(url)) is None:
            return Seed(number, url)
        self.outside[refusals[0]] += 1
        return None

    def _to_come(self, url: str, todo: _List) -> str:
        """Put a list into the row; or say why not, in a word. One that was read, or will be, is passed over."""
        if url in self._seen:
            return ""
        if todo.depth >= MAX_DEPTH:
            return "too_deep"
        if len(self._seen) >= MAX_LISTS:
            return "too_many"
        if urlsplit(todo.url).path != "/robots.txt" and not self._on_site(url, todo):
            return "host"
        self._seen.add(url)
        self._todo.append(_List(url, todo.depth + 1, todo.roots, todo.url))
        return ""

    def _on_site(self, url: str, todo: _List) -> bool:
        """Whether it is on a host of the site, or beside the list that names it, which robots.txt may have named."""
        roots = {*todo.roots, host(todo.url)}
        return self._anywhere is not None or any(self._hosts.refusal(url, depth=0, root=root) is None for root in roots)
