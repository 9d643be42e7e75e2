"""What a page asks of crawlers: X-Robots-Tag fields, robots meta elements, and rel on its links.

https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag is the grammar that everybody writes;
there is no other standard. Directives add up: the most restrictive of all that are meant for us counts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from crawl_consumer.page import Page
from crawl_consumer.spider import Parsed
from crawl_producer.topology import RobotsSpec

#: ``<crawler>: <directives>``, meant for one crawler until the field ends or another one is named …
_PREFIXED = re.compile(r"\s*+([\w*-]++)\s*+:(.*+)", re.DOTALL)
#: … but these are directives with a value.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_ALL_CRAWLERS = frozenset({"robots", "*"})
#: Characters of a field or an element that are read, as many as servers let a header field have; an element of 8 MiB
#: held everything else up for a second.
MAX_FIELD_CHARS = 8190


@dataclass(frozen=True, slots=True)
class Directives:
    """What holds for us.

    Attributes:
        noindex: keep nothing of the page.
        nofollow: take no link of it.
    """

    noindex: bool = False
    nofollow: bool = False


def read(tags: str, metas: Iterable[tuple[str, str]], token: str) -> Directives:
    """The directives of one page.

    Args:
        tags: the values of its X-Robots-Tag fields, one a line.
        metas: (name, content) of its meta elements.
        token: our name, compared without regard to case.
    """
    ours = _ALL_CRAWLERS | {token.lower()}
    said = {word for field in tags.lower().split("\n") for word in _words(field, ours)}
    elements = [content[:MAX_FIELD_CHARS].lower() for name, content in metas if name.strip().lower() in ours]
    said.update(word for content in elements for word in _words(content, ours))
    return Directives(
        noindex=not said.isdisjoint({"noindex", "none"}), nofollow=not said.isdisjoint({"nofollow", "none"})
    )


def obey(page: Page, parsed: Parsed, spec: RobotsSpec, token: str) -> Parsed:
    """What may be kept and followed of a page; every link that may not is in ``rejected``, by its reason."""
    said = read(page.headers.get("x-robots-tag", ""), page.metas, token)
    if said.noindex and spec.respect_noindex:
        parsed = replace(parsed, items=(), invalid=())
    if said.nofollow and spec.respect_nofollow:
        return _without(parsed, frozenset(parsed.follows), "nofollow")
    if spec.respect_rel and parsed.follows and page.unendorsed:
        return _without(parsed, page.unendorsed, "rel_nofollow")
    return parsed


def _words(field: str, ours: frozenset[str]) -> Iterator[str]:
    for_us = True
    for part in field[:MAX_FIELD_CHARS].split(","):
        prefixed = _PREFIXED.fullmatch(part)
        if prefixed and prefixed[1] not in _WITH_VALUE:
            for_us = prefixed[1] in ours
        directive = prefixed[2] if prefixed and prefixed[1] not in _WITH_VALUE else part
        if for_us and ":" not in directive:
            yield from directive.split()


def _without(parsed: Parsed, urls: frozenset[str], reason: str) -> Parsed:
    kept = tuple([url for url in parsed.follows if url not in urls])
    if len(kept) == len(parsed.follows):
        return parsed
    rejected = Counter(parsed.rejected)
    rejected[reason] += len(parsed.follows) - len(kept)
    return replace(parsed, follows=kept, rejected=rejected)
