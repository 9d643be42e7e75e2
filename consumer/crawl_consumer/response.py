"""What a GET brought: a response or a failure, as values that owe nothing to the HTTP library."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FailureKind(Enum):
    """Why there is no response."""

    TIMEOUT = "timeout"  #: too slow: connecting, between two bytes, or in all
    DNS = "dns"  #: the host's name does not resolve
    CONNECT = "connect"  #: refused, unreachable, or closed before an answer
    TLS = "tls"  #: no trusted encrypted connection
    PROTOCOL = "protocol"  #: no proper HTTP, or a body that ended early
    TOO_LARGE = "too_large"  #: a body above the limit, or compressed beyond belief
    DECODE = "decode"  #: a content coding damaged, cut short or unknown
    BLOCKED = "blocked"  #: the crawl's own rules refuse the address or port: nothing was asked


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A GET that brought nothing to keep.

    Attributes:
        kind: what to count it under.
        detail: one printable line for operators.
        elapsed_ms: how long it took to fail.
    """

    kind: FailureKind
    detail: str
    elapsed_ms: float


class Headers(Mapping[str, str]):
    """Response header fields: names in lower case, looked up in any case."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = {name.lower(): value for name, value in fields.items()} if fields else {}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status.

    Attributes:
        url: what was asked for.
        status: the status code, 200 … 999.
        reason: the status line's text.
        headers: field values; a Location is percent-encoded where it was not ASCII.
        body: decoded, empty when ``body_read`` is false.
        content_type: the media type in lower case; empty when there was none, or a meaningless one.
        header_charset: the charset parameter of Content-Type, as sent.
        body_read: false for media types that hold no text; their bodies are not downloaded.
        wire_bytes: length of the body as sent; for an unread one, what Content-Length announced.
        elapsed_ms: from the call to the last byte.
        answered_after_ms: from the call until the answer began; resolving and connecting are in it.
        fetched_at: Unix time of the request, seconds.
        tls_verified: false: it came from a host whose certificate nobody looked at, because the crawl says so
            (``tls: unverified``).
    """

    url: str
    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=Headers)
    body: bytes = b""
    content_type: str = ""
    header_charset: str | None = None
    body_read: bool = True
    wire_bytes: int = 0
    elapsed_ms: float = 0.0
    answered_after_ms: float = 0.0
    fetched_at: float = field(default_factory=time.time)
    tls_verified: bool = True

    @property
    def location(self) -> str | None:
        """Where a redirect leads, as sent: perhaps relative. None for other statuses."""
        return self.headers.get("location") if self.status in _REDIRECTS else None

    @property
    def size_bytes(self) -> int:
        """Length of the decoded body, or what was announced of an unread one."""
        return len(self.body) if self.body_read else self.wire_bytes
