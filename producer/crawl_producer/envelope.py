"""A message as it lies in an outbox: where it goes, its priority, and its bytes."""

from functools import lru_cache

from crawl_dedup.ledger import EncodedMessage, Fingerprint
from crawl_producer.broker import NO_HEADERS, Outgoing

#: Separates exchange, routing key and body of a message in an outbox; none of them contains it (JSON escapes it).
#: A message that goes to several places has an exchange and a key for each, before the body; behind them its priority.
_SEPARATOR = b"\n"


@lru_cache
def before_the_body(routes: tuple[tuple[str, str], ...], priority: int | None = None) -> bytes:
    """What stands before the body in the envelope of a message that goes there."""
    words = [word.encode() for route in routes for word in route]
    if priority is not None:
        words.append(b"%d" % priority)
    return b"".join([word + _SEPARATOR for word in words])


def outgoing(child: Fingerprint, envelope: EncodedMessage) -> list[Outgoing]:
    """The messages in an envelope: one for each place that it goes to."""
    before, _, body = envelope.rpartition(_SEPARATOR)
    routes, priority = _places(before)
    return [Outgoing(exchange, key, body, child, NO_HEADERS, priority, True) for exchange, key in routes]


@lru_cache
def _places(before: bytes) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """What :func:`before_the_body` was given; its last separator is not in ``before``."""
    words = [word.decode() for word in before.split(_SEPARATOR)]
    priority = int(words.pop()) if len(words) % 2 else None
    return tuple(zip(words[::2], words[1::2], strict=True)), priority
