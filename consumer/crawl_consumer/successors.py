"""Messages that take a delivery's place before it is acknowledged: parked, retried or buried copies.

They carry fresh properties only. RabbitMQ before 4.0.1 takes a republished ``x-death`` header for a
dead-letter cycle and drops the message.
"""

import json
import time
from collections.abc import Iterable, Mapping

from crawl_consumer.spiders.items import Invalid
from crawl_dedup import Fingerprint, shown
from crawl_producer import names, seal
from crawl_producer.broker import Delivery, HeaderValue, Outgoing
from crawl_producer.message import UrlMessage

#: The fields of an invalid item are cut to this many characters: headers travel in one frame.
MAX_ITEM_CHARS = 4000
#: Delay queues are left this much earlier than asked, milliseconds: who comes back early is held for the rest,
#: but who comes back late leaves his host idle.
EARLIER_MS = 200


def parked(delivery: Delivery, message: UrlMessage, wait_ms: float) -> Outgoing:
    """The same message, back in its own queue's ``.due`` companion after about ``wait_ms``."""
    return _delayed(delivery, message, wait_ms)


def deferred(delivery: Delivery, message: UrlMessage, wait_ms: float) -> Outgoing:
    """The same message, back a little before ``wait_ms`` have passed: by the longest rung that fits, then again.

    Rounding down costs hops (one for each bit of the wait), and rounding up would bring all that wait for
    something between one rung and the next back at the same moment, after an idle time.
    """
    again = message.model_copy(update={"deferrals": message.deferrals + 1, "not_before_ms": _now_ms() + round(wait_ms)})
    exchange = names.delay_exchange_within(wait_ms - EARLIER_MS)
    return Outgoing(exchange, names.work_queue(delivery.queue), again.encode(), delivery.message_id, sealed=True)


def retried(delivery: Delivery, message: UrlMessage, *, reason: str, status: int | None, delay_s: float) -> Outgoing:
    """The message of the next attempt, due after ``delay_s``."""
    again = message.model_copy(
        update={
            "attempt": message.attempt + 1,
            "reason": shown(reason, 200),
            "status": status,
            "deferrals": 0,
            "at_address": False,
            "not_before_ms": _now_ms() + int(delay_s * 1000),
        }
    )
    return _delayed(delivery, again, delay_s * 1000)


def buried(
    delivery: Delivery,
    reason: str,
    message: UrlMessage | None = None,
    outcome: str = "",
    status: int | None = None,
) -> Outgoing:
    """The dead letter of a delivery; one that cannot be read is kept byte for byte, with the seal that it came with.

    Whose key is wrong takes all of a queue for a stranger's. What he buries can be replayed by those who have the key.

    Headers: ``crawl-reason``, ``crawl-outcome`` (as the ledger counted it), ``crawl-queue``, ``crawl-attempts``,
    ``crawl-status`` (0: none), ``crawl-first-seen-ms`` and ``crawl-died-ms`` (Unix time).
    """
    queue = names.work_queue(delivery.queue)
    headers: dict[str, HeaderValue] = {
        "crawl-reason": shown(reason),
        "crawl-queue": queue,
        "crawl-died-ms": _now_ms(),
    }
    headers |= seal.carried(delivery.headers) if message is None else _history(message, outcome, status)
    letter_id = delivery.message_id or "undecodable"
    return Outgoing(names.DEAD, queue, delivery.body, letter_id, headers, sealed=message is not None)


def buried_items(
    delivery: Delivery, message: UrlMessage, url: Fingerprint, items: Iterable[Invalid], status: int | None
) -> list[Outgoing]:
    """The dead letters of a page's invalid items, with the page's own message: replayed, they parse it again.

    Headers as in :func:`buried` (the page's outcome is ``ok``), and ``crawl-item-model`` and ``crawl-item``, the
    fields as JSON. All have the same time of death, so that replaying several of them fetches the page once.
    """
    queue, history = names.work_queue(delivery.queue), _history(message, "ok", status)
    died_ms = _now_ms()
    return [
        Outgoing(
            names.DEAD,
            queue,
            delivery.body,
            f"{url}.{item.number}",
            {
                **history,
                "crawl-reason": shown(f"item_invalid: {_kind(item)} {item.number}: {item.error}"),
                "crawl-queue": queue,
                "crawl-died-ms": died_ms,
                "crawl-item-model": _legible(_kind(item), 200),
                "crawl-item": _legible(_written(item.draft.fields), MAX_ITEM_CHARS),
            },
            sealed=True,
        )
        for item in items
    ]


def _written(fields: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(fields), default=repr)
    except Exception:  # noqa: BLE001 - it holds itself, has keys that are no text, or a __repr__ that raises whatever
        plain = (str, int, float, type(None))
        told = {str(k): v if type(v) in plain else f"{type(v).__name__}, no JSON" for k, v in fields.items()}
        return json.dumps(told)


def _kind(item: Invalid) -> str:
    return getattr(item.draft.model, "__name__", str(item.draft.model))  # a union has no name


def _legible(text: str, max_chars: int) -> str:
    """Text that every client can read back: a page may have put half a character into an error's message."""
    return text[:max_chars].encode("utf-8", "replace").decode()


def _history(message: UrlMessage, outcome: str, status: int | None) -> Mapping[str, HeaderValue]:
    return {
        "crawl-outcome": outcome,
        "crawl-attempts": message.attempt + 1,
        "crawl-status": status or message.status or 0,
        "crawl-first-seen-ms": message.first_seen_ms,
    }


def _delayed(delivery: Delivery, message: UrlMessage, wait_ms: float) -> Outgoing:
    key = names.work_queue(delivery.queue)
    return Outgoing(names.delay_exchange(wait_ms), key, message.encode(), delivery.message_id, sealed=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
