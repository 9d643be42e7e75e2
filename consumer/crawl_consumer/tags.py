"""What a page says in its tags: its links as they are written, what they are relative to, and its meta elements.

It is read either from a tree or, where nobody asks for one, from the tags as the parser comes to them.
"""

from typing import NamedTuple, Protocol

from lxml import etree

#: Distinct references of a page that are read: ten times as many as a page may bring by default. A million, which
#: fit into 8 MiB, would take 600 MiB and five seconds in which nothing else could be done.
MAX_REFERENCES = 100_000
#: Characters of a ``rel`` that are read: the list of words of a longer one could take 300 MiB.
MAX_REL_CHARS = 1024
#: ``meta`` elements of a page that are read; nobody writes a tenth of them.
MAX_METAS = 1000

#: What the URL standard takes off both ends of a reference (https://url.spec.whatwg.org/#url-parsing).
C0_OR_SPACE = "".join(map(chr, range(0x21)))

_UNENDORSED = frozenset({"nofollow", "ugc", "sponsored"})


class Tags(NamedTuple):
    """What a page says in its ``a``, ``area``, ``base`` and ``meta`` elements.

    Attributes:
        references: the distinct references of ``a`` and ``area`` elements in document order, without fragments, none
            empty. True: the page vouches for one of its links there, by giving it no rel of ``nofollow``, ``ugc`` or
            ``sponsored`` (https://html.spec.whatwg.org/multipage/links.html#link-type-nofollow).
        metas: name and content of every ``meta`` element that has both, the first :data:`MAX_METAS` of them.
        base: the href of the first ``base`` element that has one.
        left_out: links behind the first :data:`MAX_REFERENCES` distinct references, which are not among them.
    """

    references: dict[str, bool]
    metas: list[tuple[str, str]]
    base: str | None = None
    left_out: int = 0


#: What a page without any says.
NO_TAGS = Tags({}, [])


class Attributes(Protocol):
    """An element of a tree, or the mapping of its attributes that a parser tells of."""

    def get(self, name: str, /) -> str | None:
        """The value of one, None without it."""


class TagReader:
    """Takes the elements of a page, in document order; ``start`` and ``close`` are what lxml calls a parser target.

    https://lxml.de/parsing.html#the-target-parser-interface
    """

    _references: dict[str, bool]
    _metas: list[tuple[str, str]]
    _base: str | None
    _left_out: int

    def __init__(self) -> None:
        self._begin()

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins; most are none that matter here."""
        if tag == "a" or tag == "area":  # noqa: PLR1714 - to make a set for each element is felt
            if (href := attributes.get("href")) is not None:
                self._link(href, attributes)
        elif tag == "meta":
            name, content = attributes.get("name"), attributes.get("content")
            if name and content and len(self._metas) < MAX_METAS:
                self._metas.append((name, content))
        elif tag == "base" and self._base is None:
            self._base = attributes.get("href")

    def close(self) -> Tags:
        """The page ends; the next element is another's."""
        self._references.pop("", None)
        tags = Tags(self._references, self._metas, self._base, self._left_out)
        self._begin()
        return tags

    def _begin(self) -> None:
        self._references, self._metas, self._base, self._left_out = {}, [], None, 0

    def _link(self, href: str, attributes: Attributes) -> None:
        references, reference = self._references, href.partition("#")[0]
        if references.get(reference):
            return
        rel = attributes.get("rel")
        endorsed = rel is None or _UNENDORSED.isdisjoint(rel[:MAX_REL_CHARS].lower().split())
        reference = reference.strip(C0_OR_SPACE)
        if len(references) >= MAX_REFERENCES and reference not in references:
            self._left_out += 1
        else:
            references[reference] = endorsed or references.get(reference, False)


def in_tree(tree: etree._Element) -> Tags:
    """What the elements of a tree say, or of a part of it."""
    reader = TagReader()
    for element in tree.iter("a", "area", "base", "meta"):
        reader.start(element.tag, element)
    return reader.close()
