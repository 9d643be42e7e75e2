"""What a trial says at its end, for people and for programs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from crawl_consumer.workbench.trial import Ended
from crawl_dedup import shown

#: Dead letters that people are shown; --json has all.
_SHOWN_DEAD = 10


def told(ended: Ended) -> dict[str, Any]:
    """For programs."""
    counts = _counts(ended)
    return {
        "complete": ended.complete,
        "admitted": sum(book.admitted for _, book in ended.books),
        "open": sum(book.open for _, book in ended.books),
        "outcomes": dict(_outcomes(ended)),
        "links": dict(counts),
        "fetched": ended.tally.fetched,
        "bytes": ended.tally.bytes,
        "seconds": round(ended.seconds, 1),
        "waiting_s": round(ended.waits.next_s, 1) if ended.waits else None,
        "unreachable": list(ended.unreachable),
        "dead": [{"url": url, "reason": reason} for url, reason in ended.dead],
    }


def lines(ended: Ended) -> Iterator[str]:
    """For people."""
    open_urls = sum(book.open for _, book in ended.books)
    state = "complete" if ended.complete else f"not complete, {open_urls:,} left"
    yield f"{state}: {ended.tally.fetched:,} fetched in {ended.seconds:.1f} s"
    yield f"  outcomes: {_counted(_outcomes(ended)) or 'none'}"
    yield f"  links:    {_counted(_counts(ended)) or 'none'}"
    if _outcomes(ended)["blocked"]:
        yield "  blocked:  see the warnings above; --allow-network lets a trial go to addresses that are not public"
    if ended.waits is not None:
        yield f"  waiting:  {ended.waits.urls:,}, none of them for less than {ended.waits.next_s:,.0f} s"
    yield from (f"  {shown(line)}" for line in ended.unreachable)
    yield from (f"  dead:     {shown(url)}: {shown(reason)}" for url, reason in ended.dead[:_SHOWN_DEAD])
    if (more := len(ended.dead) - _SHOWN_DEAD) > 0:
        yield f"  dead:     and {more:,} more (--json has all)"


def _outcomes(ended: Ended) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, book in ended.books:
        total.update(book.outcomes)
    return total


def _counts(ended: Ended) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, book in ended.books:
        total.update({name: n for name, n in book.counts.items() if not name.startswith("outcome:")})
    return total


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common())
