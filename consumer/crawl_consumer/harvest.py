"""Harvest: what a fetched page gives to the crawl, as messages for its links in scope and counts of the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from crawl_consumer.spiders.items import Invalid
from crawl_dedup import host
from crawl_producer.errand import Errand
from crawl_producer.known import Known
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.siblings import Family, Link, Sibling, link

_NONE: Mapping[str, Errand] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Harvest:
    """Links for the door, and counts of all others: by ``filtered:<reason>``, or ``duplicate`` when they are known.

    ``relies_on`` is the memory that those are known to (:attr:`crawl_dedup.ledger.Ledger.born`).
    """

    links: tuple[Link, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    relies_on: str = ""
    invalid: tuple[Invalid, ...] = ()  #: items that their models refused, for the dead letters


def links(
    parent: UrlMessage,
    urls: Iterable[str],
    scope: Scope,
    *,
    now_ms: int,
    known: Known,
    errands: Mapping[str, Errand] = _NONE,
) -> Harvest:
    """Messages for the distinct canonical ``urls`` found on ``parent``, one link deeper.

    Args:
        parent: the page's own message.
        urls: canonical and distinct.
        scope: the crawl's rules.
        now_ms: Unix time, milliseconds.
        known: URLs that are safe without going through the door again.
        errands: what goes with some of the URLs.
    """
    counts: Counter[str] = Counter()
    # A message that somebody else published may name no root: then it is its own.
    depth, root = parent.depth + 1, parent.root or host(parent.url)
    kept, duplicates = [], 0
    for url in urls:
        if (reason := scope.refusal(url, depth=depth, root=root)) is not None:
            counts[f"filtered:{reason}"] += 1
        elif url in known:
            duplicates += 1
        else:
            kept.append(url)
    relies_on = ""
    if duplicates:  # the ledger counts what it is asked about, and these nobody asks about
        counts.update(discovered=duplicates, duplicate=duplicates)
        relies_on = known.born
    if not kept:
        return Harvest((), counts, relies_on)
    family = Family.of(crawl=parent.crawl, depth=depth, root=root, parent=parent.url, first_seen_ms=now_ms)
    if errands:
        return Harvest(_sent(kept, family, errands, counts), counts, relies_on)
    return Harvest(tuple([Sibling(url, family) for url in kept]), counts, relies_on)


def _sent(urls: Sequence[str], plain: Family, errands: Mapping[str, Errand], counts: Counter[str]) -> tuple[Link, ...]:
    """Siblings of one family for each errand; URLs that are too long beside theirs are counted."""
    families: dict[Errand | None, Family] = {None: plain}
    found = []
    for url in urls:
        errand = errands.get(url)
        if (family := families.get(errand)) is None:
            assert errand is not None
            family = families[errand] = plain.on(errand.fields())
        if errand is None or family.has_room_for(url):
            found.append(link(url, family))
        else:
            counts["filtered:too_long"] += 1
    return tuple(found)


def redirect(parent: UrlMessage, target: str, scope: Scope, *, now_ms: int) -> Harvest:
    """The message for a redirect's target: a new URL through the same door, at the same depth, on the same errand.

    A seed may move to another host (``example.org`` to ``www.example.org``); its crawl moves with it, so the
    target's host becomes the root.
    """
    root = host(target) if parent.depth == 0 else parent.root or host(parent.url)
    redirects = parent.redirects + 1
    if (reason := scope.refusal(target, depth=parent.depth, root=root, redirects=redirects)) is not None:
        return Harvest(counts=Counter({f"filtered:{reason}": 1}))
    message = UrlMessage.model_construct(
        crawl=parent.crawl,
        url=target,
        depth=parent.depth,
        root=root,
        parent=parent.url,
        redirects=redirects,
        first_seen_ms=now_ms,
        expires_ms=parent.expires_ms,
        **parent.errand,
    )
    if parent.errand and message.room_bytes < 0:
        return Harvest(counts=Counter({"filtered:too_long": 1}))
    return Harvest((message,))
