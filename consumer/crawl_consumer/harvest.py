"""Harvest: what a fetched page gives to the crawl, as messages for its links in scope and counts of the rest."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from crawl_dedup import host
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.siblings import Family, Link, Sibling


@dataclass(frozen=True, slots=True)
class Harvest:
    """Links for the door, and counts of all others: by ``filtered:<reason>``, or ``duplicate`` when they are known."""

    links: tuple[Link, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)


def links(parent: UrlMessage, urls: Iterable[str], scope: Scope, *, now_ms: int, known: Container[str] = ()) -> Harvest:
    """Messages for the distinct canonical ``urls`` found on ``parent``, one link deeper.

    Args:
        parent: the page's own message.
        urls: canonical and distinct.
        scope: the crawl's rules.
        now_ms: Unix time, milliseconds.
        known: URLs that are safe without going through the door again; see :mod:`crawl_producer.known`.
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
    if duplicates:  # the ledger counts what it is asked about, and these nobody asks about
        counts.update(discovered=duplicates, duplicate=duplicates)
    if not kept:
        return Harvest(counts=counts)
    family = Family.of(crawl=parent.crawl, depth=depth, root=root, parent=parent.url, first_seen_ms=now_ms)
    return Harvest(tuple([Sibling(url, family) for url in kept]), counts)


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
