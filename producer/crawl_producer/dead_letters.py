"""Dead letters as values: what is known of a URL that failed for good, and which letters somebody asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property

from crawl_dedup import host
from crawl_producer.broker import Delivery
from crawl_producer.errors import MessageInvalid, UnknownName
from crawl_producer.message import UrlMessage
from crawl_producer.topic import topic_matches
from crawl_producer.topology import Topology

#: Reason of letters that nobody labelled: published by hand, or by a broker that says nothing.
UNLABELLED = "unknown"


@dataclass(frozen=True)
class Letter:
    """One dead letter.

    Attributes:
        queue: the work queue that it comes from.
        message_id: its publisher's id, for a URL of ours its fingerprint.
        reason: why it died: ``timeout: …``, ``http_503``, ``undecodable: …``, or the broker's own word for its
            victims: ``delivery_limit``.
        outcome: how the ledger counted its URL's end; empty: the URL had not ended (the broker's victims).
        status: the HTTP status of the last attempt, or None.
        attempts: fetches that were begun for it, or None.
        first_seen_ms: Unix time of its admission, or None.
        died_ms: Unix time of its death, or None.
        message: what it says; None: nothing that may be crawled, and ``unreadable`` says why.
        unreadable: see ``message``.
        body: its bytes.
    """

    queue: str
    message_id: str
    reason: str
    outcome: str
    status: int | None
    attempts: int | None
    first_seen_ms: int | None
    died_ms: int | None
    message: UrlMessage | None
    unreadable: str
    body: bytes

    @classmethod
    def of(cls, delivery: Delivery, *, queue: str, crawl: str) -> "Letter":
        """The letter that came as this delivery from the dead letters of ``queue``, which belongs to ``crawl``."""
        headers = delivery.headers
        message, unreadable = _read(delivery, crawl)
        return cls(
            queue=queue,
            message_id=delivery.message_id,
            reason=_text(headers, "crawl-reason") or _brokers_reason(headers) or UNLABELLED,
            outcome=_text(headers, "crawl-outcome"),
            status=_number(headers, "crawl-status") or (message.status if message else None),
            attempts=_number(headers, "crawl-attempts") or (message.attempt if message else None),
            first_seen_ms=_number(headers, "crawl-first-seen-ms") or (message.first_seen_ms if message else None),
            died_ms=_number(headers, "crawl-died-ms") or _brokers_time_ms(headers),
            message=message,
            unreadable=unreadable,
            body=delivery.body,
        )

    @property
    def kind(self) -> str:
        """The reason without its details: what letters are counted by."""
        return self.reason.partition(":")[0]

    @property
    def identity(self) -> str:
        """Tells this letter from others of the same URL: a URL that dies twice dies at two times."""
        return str(self.died_ms or 0)

    @property
    def url(self) -> str:
        """Its URL, or an empty string."""
        return self.message.url if self.message else ""

    @cached_property
    def host(self) -> str:
        """The URL's host, or an empty string."""
        return host(self.url) if self.message else ""

    def as_dict(self) -> dict[str, object]:
        """For ``--json``: everything but the body."""
        return {
            "queue": self.queue, "message_id": self.message_id, "url": self.url or None, "host": self.host or None,
            "reason": self.reason, "outcome": self.outcome or None, "status": self.status, "attempts": self.attempts,
            "first_seen_ms": self.first_seen_ms, "died_ms": self.died_ms, "unreadable": self.unreadable or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are asked for; what is None or empty asks for nothing.

    Attributes:
        reason: glob over the reason, with or without its details: ``timeout``, ``http_5*``.
        host: glob over the host: ``example.org``, ``*.example.org``.
        died_before_ms: Unix time; letters whose time of death is not known do not match.
        died_after_ms: likewise.
        id: a message id or a canonical URL.
    """

    reason: str | None = None
    host: str | None = None
    died_before_ms: int | None = None
    died_after_ms: int | None = None
    id: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether this letter is asked for."""
        return (
            (self.reason is None or fnmatchcase(letter.kind, self.reason) or fnmatchcase(letter.reason, self.reason))
            and (self.host is None or fnmatchcase(letter.host, self.host.lower()))
            and (self.died_before_ms is None or (letter.died_ms is not None and letter.died_ms < self.died_before_ms))
            and (self.died_after_ms is None or (letter.died_ms is not None and letter.died_ms > self.died_after_ms))
            and (self.id is None or self.id in (letter.message_id, letter.url))
        )


def queues_of(
    topology: Topology, *, pattern: str | None = None, crawl: str | None = None, inboxes: bool = True
) -> tuple[str, ...]:
    """The work queues and inboxes whose dead letters are asked for, in the file's order; all by default.

    Args:
        topology: exchanges.yaml.
        pattern: a topic pattern over queue names; a dead queue's own name is understood too.
        crawl: only queues of this crawl.
        inboxes: whether theirs are of use.

    Raises:
        UnknownName: there is no such queue; the remedy lists those that there are.
    """
    wanted = None if pattern is None else pattern.removeprefix("dead.")
    crawls = {name: spec.crawl for name, spec in topology.queues.items()}
    if inboxes:
        crawls |= {name: spec.crawl for name, spec in topology.inboxes.items()}
    found = tuple(
        name for name, fed in crawls.items() if (wanted is None or topic_matches(wanted, name)) and crawl in (None, fed)
    )
    if not found:
        asked = " ".join([f"matches {pattern!r}"] * (pattern is not None) + [f"of crawl {crawl!r}"] * bool(crawl))
        raise UnknownName(f"no queue {asked}", remedy=f"exchanges.yaml has the queues {', '.join(topology.queues)}")
    return found


def _read(delivery: Delivery, crawl: str) -> tuple[UrlMessage | None, str]:
    try:
        return UrlMessage.read(delivery.body, crawl=crawl, doubt=delivery.doubt), ""
    except MessageInvalid as error:
        return None, str(error)


def _text(headers: Mapping[str, object], name: str) -> str:
    value = headers.get(name)
    return value if isinstance(value, str) else ""


def _number(headers: Mapping[str, object], name: str) -> int | None:
    value = headers.get(name)
    return int(value) if isinstance(value, int) else None


def _last_death(headers: Mapping[str, object]) -> Mapping[str, object]:
    """RabbitMQ's note of the last queue that a message died in; it keeps them newest first.

    Source: https://www.rabbitmq.com/docs/dlx#effects. ``x-first-death-reason`` would be that of a hop on the ladder.
    """
    deaths = headers.get("x-death")
    newest = deaths[0] if isinstance(deaths, list) and deaths else None
    return newest if isinstance(newest, dict) else {}


def _brokers_reason(headers: Mapping[str, object]) -> str:
    return _text(_last_death(headers), "reason") or _text(headers, "x-first-death-reason")


def _brokers_time_ms(headers: Mapping[str, object]) -> int | None:
    time = _last_death(headers).get("time")
    return int(time.timestamp() * 1000) if isinstance(time, datetime) else None
