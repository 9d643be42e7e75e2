"""Where a repair learns of URLs: a crawl's journal, files of seeds, and records that consumers have written."""

import json
import re
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from functools import cache, partial
from pathlib import Path

from crawl_dedup import NO_RULES, CanonicalRules, UrlInvalid, canonicalize, host
from crawl_producer.amqp import Copy
from crawl_producer.broker import Outgoing
from crawl_producer.errors import MessageInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.reach import queues_reached
from crawl_producer.reading import in_thread
from crawl_producer.readmission import Found
from crawl_producer.routing import Router
from crawl_producer.seeds import bounded_lines, opened
from crawl_producer.topology import Topology

#: Lines that are read ahead.
_AHEAD = 2000
#: The URL at the beginning of a record that is longer than a line may be.
_URL_FIRST = re.compile(r'\{\s*"url"\s*:\s*"([!-~]*?)"')
_NOTHING = Found("", None)


async def from_journal(copies: AsyncIterable[Copy], crawl: str, topology: Topology) -> AsyncIterator[Found]:
    """The URLs of a crawl's journal, each with the message as it was first published.

    It goes where it went, unless exchanges.yaml has nothing bound there any more: then where the crawl's routes say.
    """
    router = Router(topology.crawls[crawl])
    bound = cache(partial(queues_reached, topology))
    async for copy in copies:
        try:
            message = UrlMessage.read(copy.body, crawl=crawl, doubt=copy.doubt)
        except MessageInvalid:
            yield _NOTHING
            continue
        where = (copy.exchange, copy.routing_key)
        exchange, key = where if bound(*where) else router.route(message.url, seed=message.depth == 0)
        outgoing = Outgoing(exchange, key, copy.body, copy.message_id, priority=message.priority, sealed=True)
        groups = frozenset([topology.queues[queue].group for queue in bound(exchange, key)])
        yield Found(message.url, outgoing, message.first_seen_ms, groups or None)


async def from_file(path: Path, crawl: str, router: Router, rules: CanonicalRules = NO_RULES) -> AsyncIterator[Found]:
    """The URLs of a file: one a line, or JSON lines with a field ``url``; plain or gzip; ``-`` is standard input.

    Each as the crawl's ``rules`` make it.

    Raises:
        SeedsUnreadable: it cannot be read.
    """
    async for found in in_thread(_of_file(path, crawl, router, rules), ahead=_AHEAD):
        yield found


def _of_file(path: Path, crawl: str, router: Router, rules: CanonicalRules) -> Iterator[Found]:
    with opened(path, sys.stdin.buffer) as lines:
        for line in bounded_lines(lines.stream):
            text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
            if text and not text.startswith("#"):
                yield _found(text, crawl, router, rules)


def _found(text: str, crawl: str, router: Router, rules: CanonicalRules) -> Found:
    record = _record(text) if text.startswith("{") else {"url": text}
    try:
        url = rules(canonicalize(str(record.get("url", ""))))
    except UrlInvalid:
        return _NOTHING
    depth = record.get("depth")
    message = UrlMessage.model_construct(
        crawl=crawl,
        url=url,
        # Whoever wrote the record knew how deep the page was; of a bare URL nobody knows, and it counts as a seed.
        depth=depth if isinstance(depth, int) and depth >= 0 else 0,
        root=host(url),
        first_seen_ms=time.time_ns() // 1_000_000,
    )
    exchange, key = router.route(url, seed=message.depth == 0)
    return Found(url, Outgoing(exchange, key, message.encode(), message_id="", sealed=True))


def _record(text: str) -> dict[str, object]:
    """The line as an object; of one that was cut, or is broken behind its beginning, only the URL there."""
    try:
        record = json.loads(text)
    except ValueError:
        first = _URL_FIRST.match(text)
        return {} if first is None else {"url": first[1]}
    return record if isinstance(record, dict) else {}
