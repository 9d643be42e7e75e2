"""Harvest: what a fetched page gives to the crawl, as messages for its links in scope and counts of the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from crawl_dedup import host
from crawl_producer.known import Known
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.siblings import Family, Link, Sibling


@dataclass(frozen=True, slots=True)
class Harvest:
    """Links for the door, and counts of all others: by ``filtered:<reason>``, or ``duplicate`` when they are known.

    ``relies_on`` is the memory that those are known to (:attr:`crawl_dedup.ledger.Ledger.born`).
    """

    links: tuple[Link, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    relies_on: str = ""


def links(parent: UrlMessage, urls: Sequence[str], scope: Scope, *, now_ms: int, known: Known) -> Harvest:
    """Messages for the distinct canonical ``urls`` found on ``parent``, one link deeper.

    Args:
        parent: the page's own message.
        urls: canonical and distinct.
        scope: the crawl's rules.
        now_ms: Unix time, milliseconds.
        known: URLs that are safe without going through the door again.
    """
    # A message that somebody else published may name no root: then it is its own.
    depth, root = parent.depth + 1, parent.root or host(parent.url)
    in_scope, refused = scope.sift(urls, depth=depth, root=root)
    counts = Counter({f"filtered:{reason}": n for reason, n in refused.items()})
    kept = known.strangers(in_scope)
    duplicates = len(in_scope) - len(kept)
    relies_on = ""
    if duplicates:  # the ledger counts what it is asked about, and these nobody asks about
        counts.update(discovered=duplicates, duplicate=duplicates)
        relies_on = known.born
    if not kept:
        return Harvest((), counts, relies_on)
    family = Family.of(crawl=parent.crawl, depth=depth, root=root, parent=parent.url, first_seen_ms=now_ms)
    return Harvest(tuple([Sibling(url, family) for url in kept]), counts, relies_on)


def redirect(parent: UrlMessage, target: str, scope: Scope, *, now_ms: int) -> Harvest:
    """The message for a redirect's target: a new URL through the same door, at the same depth.

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
    )
    return Harvest((message,))
