"""The URL message: what travels through RabbitMQ for one URL, and nothing more.

JSON, because operators read queues. Strict and frozen, because a message is no more trusted than a page.
"""

import time
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer.errand import Meta, Method, NamedRoute, Priority, Way
from crawl_producer.errors import MessageInvalid

#: Unknown versions become dead letters, never guesses.
VERSION: Literal[1] = 1
#: Bodies above this are refused unread: a URL message is small, and whatever is larger is not one.
MAX_ENCODED_BYTES = 4096
#: The longest URL there is room for twice (itself and its parent); also what old browsers accepted.
MAX_URL_CHARS = 2083
#: What waiting, retries and redirects may add to a message: counters and times.
GROWTH_BYTES = 256

_Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS, pattern=r"^https?://[!-~]+$")]


class UrlMessage(BaseModel):
    """One URL to fetch, and what is known of it.

    Attributes:
        v: the version of this form; set by us.
        crawl: the crawl that it belongs to; set at admission.
        url: canonical, without fragment or credentials; set at admission.
        depth: links away from its seed, 0 for a seed; a redirect keeps the depth.
        root: host of the seed it descends from (scope is "the same host as the seed" by default).
        parent: the page it was found on, None for a seed (and when both URLs are too long for one message).
        attempt: fetches begun for it before this message, counted by us: 0 at first, +1 on each retry.
        redirects: redirects followed since the last link.
        first_seen_ms: Unix time of admission, milliseconds.
        deferrals: times it was parked until its host's turn; above 0, it stands in that host's row already.
        at_address: it was parked for its server's address, in whose row it stands, and not in its host's.
        not_before_ms: Unix time before which it must not be fetched, milliseconds; None: at once.
        expires_ms: Unix time from which on it is not worth fetching any more, milliseconds; None: never. Set for
            seeds (``crawl-seed --expires``), kept by their retries and redirects, not inherited by links.
        reason: why it was tried again, for dead letters and operators.
        status: the HTTP status of the last attempt.
        to: the spider's method that parses the page, None: ``parse``; these four are set by the spider that found the
            link, or by whoever wrote a seed, and kept by its retries and redirects (see :mod:`crawl_producer.errand`).
        route: the exchange (empty: the crawl's own) and key that it was published with instead of the crawl's routes.
        priority: among the messages of a queue that has ``max_priority``.
        meta: a small object for that method.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = VERSION
    crawl: Annotated[str, Field(min_length=1, max_length=200)]
    url: _Url
    depth: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    root: Annotated[str, Field(max_length=253, pattern=r"^[!-~]*$")] = ""
    parent: _Url | None = None
    attempt: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    redirects: Annotated[int, Field(ge=0, le=1_000)] = 0
    first_seen_ms: Annotated[int, Field(ge=0, le=1 << 53)] = 0
    deferrals: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    at_address: bool = False
    not_before_ms: Annotated[int, Field(ge=0, le=1 << 53)] | None = None
    expires_ms: Annotated[int, Field(ge=0, le=1 << 53)] | None = None
    reason: Annotated[str, Field(max_length=200)] | None = None
    status: Annotated[int, Field(ge=0, le=999)] | None = None
    to: Method | None = None
    route: NamedRoute | None = None
    priority: Priority | None = None
    meta: Meta | None = None

    def encode(self) -> bytes:
        """The message's bytes, at most MAX_ENCODED_BYTES; a parent that does not fit is left out, then the reason."""
        body = self.model_dump_json(exclude_defaults=True).encode()
        body = b'{"v":1,' + body[1:]
        if len(body) > MAX_ENCODED_BYTES:
            if self.parent is not None:
                return self.model_copy(update={"parent": None}).encode()
            if self.reason is not None:
                return self.model_copy(update={"reason": None}).encode()
        return body

    @property
    def room_bytes(self) -> int:
        """How much longer the URL might be, without a parent; below 0, the message is too large to be retried."""
        return MAX_ENCODED_BYTES - GROWTH_BYTES - len(self.model_copy(update={"parent": None}).encode())

    @property
    def way(self) -> Way | None:
        """How it is published; None: as the crawl's routes say, without priority."""
        return None if self.route is None and self.priority is None else (self.route, self.priority)

    @property
    def errand(self) -> dict[str, Any]:
        """What its spider said of it, as the fields of another message."""
        said = {"to": self.to, "route": self.route, "priority": self.priority, "meta": self.meta}
        return {name: value for name, value in said.items() if value is not None}

    def early_ms(self) -> int:
        """Milliseconds until it may be fetched; 0 when it may be now."""
        return 0 if self.not_before_ms is None else max(0, self.not_before_ms - time.time_ns() // 1_000_000)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of these bytes.

        Raises:
            MessageInvalid: too large, broken JSON, an unknown version or field; the message is the reason.
        """
        if len(body) > MAX_ENCODED_BYTES:
            raise MessageInvalid(f"message of {len(body)} bytes; at most {MAX_ENCODED_BYTES} are read")
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise MessageInvalid(f"{where}: {first['msg']}") from None

    def expired(self) -> bool:
        """Whether it is not worth fetching any more."""
        return self.expires_ms is not None and self.expires_ms <= time.time_ns() // 1_000_000

    @classmethod
    def read(cls, body: bytes, *, crawl: str, doubt: str = "") -> Self:
        """The message of these bytes, found in a queue of ``crawl``: believed, of this crawl, its URL canonical.

        Args:
            body: as it came.
            crawl: whose queue it came from.
            doubt: what speaks against believing it; see :attr:`crawl_producer.broker.Delivery.doubt`.

        Raises:
            MessageInvalid: as :meth:`decode`, or it belongs elsewhere; the message is the reason.
        """
        if doubt:
            raise MessageInvalid(doubt)
        message = cls.decode(body)
        if message.crawl != crawl:
            raise MessageInvalid(f"a URL of crawl {message.crawl!r} in a queue of {crawl!r}")
        try:
            canonical = canonicalize(message.url)
        except UrlInvalid as error:
            raise MessageInvalid(f"url: {error}") from None
        if canonical != message.url:
            raise MessageInvalid("url: not canonical")
        return message
