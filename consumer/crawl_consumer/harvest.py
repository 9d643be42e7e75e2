"""Harvest: what a fetched page gives to the crawl, as messages for its links in scope and counts of the rest."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from crawl_consumer.spiders.items import Invalid
from crawl_dedup import NO_RULES, CanonicalRules, host, shown
from crawl_producer.errand import MAX_META_BYTES, Errand
from crawl_producer.known import Known
from crawl_producer.message import MAX_URL_CHARS, UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.siblings import Family, Link, Sibling, link

_NONE: Mapping[str, Errand] = MappingProxyType({})

log = logging.getLogger(__name__)

#: Bytes of the messages of one page's links at most, about: all of them lie in one outbox, which Redis writes in one
#: step, and which whoever resumes the page reads in one answer and holds three times over. Ordinary pages reach
#: max_links_per_page first; without this, links behind a base of 2,000 characters would take 40 MB at 10,000 of them.
MAX_OUTBOX_BYTES = 8 << 20
#: What a link takes there besides its own URL and its page's: the other fields, fingerprint, exchange and key.
_ENVELOPE_BYTES = 256


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
    urls: Sequence[str],
    scope: Scope,
    *,
    now_ms: int,
    known: Known,
    errands: Mapping[str, Errand] = _NONE,
    rules: CanonicalRules = NO_RULES,
) -> Harvest:
    """Messages for the distinct canonical ``urls`` found on ``parent``, one link deeper.

    A page brings so many links as its crawl's ``max_links_per_page`` and :data:`MAX_OUTBOX_BYTES` allow; known ones
    count, so that it brings the same ones whoever fetches it. Those behind are counted as
    ``filtered:max_links_per_page``.

    Args:
        parent: the page's own message.
        urls: canonical and distinct.
        scope: the crawl's rules.
        now_ms: Unix time, milliseconds.
        known: URLs that are safe without going through the door again.
        errands: what goes with some of the URLs.
        rules: the crawl's, by which several of the URLs may be one page; it has the first errand of these.
    """
    if rules:
        errands = {rules(url): errands[url] for url in reversed(urls) if url in errands}
        urls = list(dict.fromkeys(map(rules, urls)))
    # A message that somebody else published may name no root: then it is its own.
    depth, root = parent.depth + 1, parent.root or host(parent.url)
    in_scope, refused = scope.sift(urls, depth=depth, root=root)
    counts = Counter({f"filtered:{reason}": n for reason, n in refused.items()})
    each_bytes = len(parent.url) + _ENVELOPE_BYTES + (MAX_META_BYTES if errands else 0)
    if (room := _room(in_scope, each_bytes, scope)) < len(in_scope):
        left_out = len(in_scope) - room
        counts["filtered:max_links_per_page"] = left_out
        log.warning("%s has %d links in scope: the last %d are left out", shown(parent.url), len(in_scope), left_out)
        in_scope = in_scope[:room]
    kept = known.strangers(in_scope)
    duplicates = len(in_scope) - len(kept)
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


def _room(urls: Sequence[str], each_bytes: int, scope: Scope) -> int:
    """How many of them, from the first on, the page may bring."""
    room = min(len(urls), scope.max_links_per_page)
    left_bytes = MAX_OUTBOX_BYTES
    if room * (MAX_URL_CHARS + each_bytes) <= left_bytes:  # of an ordinary page the lengths need not be looked at
        return room
    for place, url in enumerate(urls[:room], start=1):
        left_bytes -= len(url) + each_bytes
        if left_bytes <= 0:
            return place
    return room


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
