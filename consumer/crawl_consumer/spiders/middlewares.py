"""Middlewares: async functions of a spider's that see each request before it is sent, and each response after it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawl_consumer.errors import SpiderRaised
from crawl_consumer.response import Response
from crawl_consumer.spiders import blame
from crawl_dedup import redacted
from crawl_producer.message import UrlMessage

#: A counter's name is made of a reason to drop a URL.
_MAX_REASON_CHARS = 60
#: What the fetcher itself must say, because it depends on it.
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade", "trailer"}
)
#: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: What the crawler reads of a response that somebody else has made.
_KINDS = {"status": int, "headers": Mapping, "body": bytes, "content_type": str}
_VALUE = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Request:
    """A GET that is about to be sent.

    Attributes:
        url: canonical; it cannot be changed, because it is what the ledger knows.
        headers: fields to send besides the crawl's own, or instead of them; change this dictionary.
        depth: links away from its seed.
        parent: the page it was found on; None for a seed.
        attempt: fetches that were begun before this one.
        to: the spider's method that its link named.
        meta: what its link carried.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    depth: int = 0
    parent: str | None = None
    attempt: int = 0
    to: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """The URL is not fetched; its outcome is ``skipped``, counted by the reason, of which there should be few."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The response is no good: the URL is tried again as after an error of the host, or is a dead letter at once."""

    reason: str
    retry: bool = True


#: Changes ``request.headers``, or returns a Drop.
RequestMiddleware = Callable[[Request], Awaitable[Drop | None]]
#: Returns another response of the same URL (``dataclasses.replace``), a Refuse, or None to leave it as it is.
ResponseMiddleware = Callable[[Response, Request], Awaitable[Response | Refuse | None]]


def request_of(message: UrlMessage) -> Request:
    """The request for a URL message."""
    return Request(
        message.url, {}, message.depth, message.parent, message.attempt, message.to, dict(message.meta or {})
    )


async def before(middlewares: tuple[RequestMiddleware, ...], request: Request) -> Drop | None:
    """Let the request through all of them, in their order; the first Drop counts.

    Raises:
        SpiderRaised: one of them did, or left fields that cannot be sent.
    """
    for middleware in middlewares:
        try:
            answer = await middleware(request)
            if answer is None:
                _check(request.headers)
                continue
            if isinstance(answer, Drop):
                return Drop(_legible(answer.reason))
            raise TypeError(f"it returned {answer!r:.60}; return Drop(reason) or None")
        except blame.RAISED as error:
            blame.unless_we_are_stopped(error)
            raise _told(middleware, request, error) from error
    return None


async def after(middlewares: tuple[ResponseMiddleware, ...], response: Response, request: Request) -> Response | Refuse:
    """Let the response through all of them, in their order; the first Refuse counts.

    Raises:
        SpiderRaised: one of them did, or returned the response of another URL.
    """
    for middleware in middlewares:
        try:
            answer: object = await middleware(response, request)
            if isinstance(answer, Refuse):
                return answer
            if answer is None:
                continue
            response = _checked(answer, request)
        except blame.RAISED as error:
            blame.unless_we_are_stopped(error)
            raise _told(middleware, request, error) from error
    return response


def _legible(reason: object) -> str:
    """As the name of a counter: one short line that Redis can keep and a terminal can show."""
    line = " ".join(str(reason).split())
    return "".join(filter(str.isprintable, redacted(line)))[:_MAX_REASON_CHARS] or "unnamed"


def _checked(answer: object, request: Request) -> Response:
    if not isinstance(answer, Response) or answer.url != request.url:
        raise TypeError(f"it returned {answer!r:.60}; return a Response of the same URL, Refuse(reason) or None")
    for name, kind in _KINDS.items():
        if not isinstance(value := getattr(answer, name), kind):
            raise TypeError(f"it returned a Response whose {name} is {value!r:.60}, and not {kind.__name__}")
    return answer


def _check(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} cannot be sent: a name is a token, a value one line of ASCII")
        if name.lower() in _OURS:
            raise ValueError(f"header {name!r} is the fetcher's own")


def _told(middleware: Callable[..., Any], request: Request, error: BaseException) -> SpiderRaised:
    name = getattr(middleware, "__qualname__", repr(middleware))
    return SpiderRaised(blame.in_one_line(name, middleware, request.url, error))
