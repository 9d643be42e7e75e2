"""Sitemaps, RSS 0.9x, 1.0 and 2.0, and Atom: one pass over hostile XML, in constant memory.

No tree is built. Names count and namespaces do not, because many files leave them out or have old ones. What cannot
be had by mending (see :mod:`.mend`) costs one entry, and not the file.

Sources: https://www.sitemaps.org/protocol.html, https://www.rssboard.org/rss-specification,
https://web.resource.org/rss/1.0/spec, RFC 4287.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from crawl_dedup import UrlInvalid, join
from crawl_producer.sources.found import SHOWN_CHARS, Damaged, Found, NotAListing
from crawl_producer.sources.mend import mended
from crawl_producer.sources.modified import latest_ms

#: Characters of an element that are kept; no URL and no date of ours is a fraction of it.
MAX_TEXT_CHARS = 40_000

_ROOTS = frozenset({"urlset", "sitemapindex", "rss", "RDF", "feed"})
_ITEMS = frozenset({"url", "sitemap", "item", "entry"})
#: Where the date stands, the first that is there: of the change, else of the publication.
_DATES = ("lastmod", "updated", "modified", "pubDate", "date", "published", "issued")
#: What is kept of an item besides its address.
_WANTED = frozenset({"loc", "link", "guid", *_DATES})
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"


def read(chunks: Iterator[bytes], base: str, *, encoding: str | None = None) -> Iterator[Found | Damaged]:
    """The entries of a document.

    Args:
        chunks: its bytes.
        base: the URL that it was fetched from.
        encoding: of the bytes, whatever the document says; None: as it says.

    Raises:
        NotAListing: ``html``, ``doctype`` or ``not_a_sitemap``; or what ``chunks`` raises, behind its entries.
    """
    target = _Target(base)
    parser = _parser(target, encoding)
    for chunk in mended(chunks):
        try:
            if chunk:
                parser.feed(chunk)
        except (etree.LxmlError, LookupError):  # an encoding that nobody knows, or that it is not
            break
        yield from target.taken()
    yield from target.taken()
    if not target.begun:
        raise NotAListing("not_a_sitemap")
    if not target.complete:
        yield Damaged("the document has no end", "cut_short")


def _parser(target: "_Target", encoding: str | None) -> etree.XMLParser:
    # Nothing is fetched, expanded or grown beyond libxml2's limits; after a fault it goes on.
    return etree.XMLParser(
        target=target,  # type: ignore[arg-type]  # the stub has it take bytes as well
        encoding=encoding,
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
    )


@dataclass(slots=True)
class _Item:
    """An entry that is being read, and how deep it lies."""

    name: str
    depth: int
    about: str
    texts: dict[str, str] = field(default_factory=dict)
    alternate: str = ""
    broken: bool = False


class _Target:
    """What the parser tells: https://lxml.de/parsing.html#the-target-parser-interface."""

    def __init__(self, base: str) -> None:
        self.begun = False
        self.complete = False
        self._bases = [(0, base)]
        self._depth = 0
        self._item: _Item | None = None
        self._field = ""
        self._text: list[str] = []
        self._chars = 0
        self._entries: list[Found | Damaged] = []

    def taken(self) -> list[Found | Damaged]:
        """The entries that are complete since it was asked last."""
        entries, self._entries = self._entries, []
        return entries

    def doctype(self, name: str | None, _public: str | None, _system: str | None) -> None:
        # The parser goes on after a fault, and comes to a DOCTYPE whose name it could not read.
        raise NotAListing("html" if (name or "").lower() == "html" else "doctype")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self.begun = True
        name = _local(tag)
        if self._depth == 1 and name not in _ROOTS:
            raise NotAListing("html" if name.lower() == "html" else "not_a_sitemap")
        if _XML_BASE in attributes:
            self._rebase(attributes[_XML_BASE])
        if self._item is None:
            if name in _ITEMS:
                self._item = _Item(name, self._depth, attributes.get(_RDF_ABOUT, ""))
        elif self._depth == self._item.depth + 1:
            self._begin_field(self._item, name, attributes)
        elif self._field in ("loc", "link") and self._depth == self._item.depth + 2:
            self._item.broken = True  # an address has no parts: a bare < was taken for one

    def data(self, text: str) -> None:
        if self._field and self._item is not None and self._depth == self._item.depth + 1:
            self._chars += len(text)
            if self._chars <= MAX_TEXT_CHARS:
                self._text.append(text)

    def end(self, _tag: str) -> None:
        item = self._item
        if item is not None and self._depth == item.depth + 1 and self._field:
            item.texts.setdefault(self._field, "".join(self._text).strip())
            self._field = ""
        elif item is not None and self._depth == item.depth:
            self._entries.append(_entry(item, self._bases[-1][1]))
            self._item = None
        if self._bases[-1][0] == self._depth:
            self._bases.pop()
        self._depth -= 1
        self.complete = self._depth == 0

    def close(self) -> None:
        """Part of the interface."""

    def _rebase(self, text: str) -> None:
        try:
            self._bases.append((self._depth, join(self._bases[-1][1], text)))
        except UrlInvalid:
            return

    def _begin_field(self, item: _Item, name: str, attributes: Mapping[str, str]) -> None:
        if name == "link" and "href" in attributes:  # Atom's, also within RSS
            if attributes.get("rel", "alternate") == "alternate" and not item.alternate:
                item.alternate = attributes["href"].strip()
            return
        if name == "guid" and attributes.get("isPermaLink", "true").lower() != "true":
            return
        if name in _WANTED:
            self._field, self._text, self._chars = name, [], 0


def _entry(item: _Item, base: str) -> Found | Damaged:
    texts = item.texts
    if item.name in ("url", "sitemap"):
        url = texts.get("loc", "")
    elif item.name == "entry":
        url = item.alternate
    else:
        url = texts.get("link", "") or item.about or item.alternate or texts.get("guid", "")
    if item.broken or "\ufffd" in url:
        return Damaged(url[:SHOWN_CHARS], "damaged")
    if not url:
        return Damaged(f"<{item.name}>", "no_address")
    modified_ms = next((latest_ms(texts[name]) for name in _DATES if texts.get(name)), None)
    return Found(url, base, item.name == "sitemap", modified_ms)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2]
