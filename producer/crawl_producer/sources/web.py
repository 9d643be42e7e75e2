"""Fetching sitemaps and feeds: one GET at a time, with limits, into a file.

They are asked for by the operator and not by robots.txt, which is why that is not asked. A host has its rest between
two requests nevertheless.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import BinaryIO, Self

import aiohttp
from yarl import URL

from crawl_dedup import UrlInvalid, host, join
from crawl_producer.answer import Answer
from crawl_producer.arrival import Arrival, Pace
from crawl_producer.guard import Guard
from crawl_producer.guarded import blocked, connector
from crawl_producer.sources.found import NotAListing

#: Redirects in a row, as many as are followed for robots.txt.
MAX_REDIRECTS = 5
#: Tries of what may yet succeed, and seconds before the second one; before the third it is four times as long.
TRIES, PAUSE_S = 3, 2.0
#: A site that asks for more patience than this gets it by being asked at the next run.
LONGEST_PAUSE_S = 60.0
#: XML first, and anything else rather than an error page about what we accept.
ACCEPT = "application/xml,application/rss+xml,application/atom+xml,application/feed+json,text/plain;q=0.9,*/*;q=0.8"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What one GET may cost.

    Attributes:
        total_s: from the request to the last byte.
        connect_s: per address that is tried, TLS included.
        idle_s: between two reads.
        body_bytes: as sent; what it holds uncompressed is limited where it is read.
        pace: the slowest that a body may come.
    """

    total_s: float = 300
    connect_s: float = 10
    idle_s: float = 30
    body_bytes: int = 52_428_800
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class _Answer:
    """How one GET ended.

    Attributes:
        reason: why there is no list to read, a word to count by; empty: there is one, or ``location``.
        location: where a redirect leads, canonical.
        try_again_s: seconds after which another try makes sense; None: none does.
    """

    reason: str = ""
    location: str = ""
    try_again_s: float | None = None


class SourceWeb:
    """The web that sitemaps are read from; open it with ``async with``.

    Args:
        user_agent: see :func:`crawl_producer.user_agent.user_agent`.
        delay_s: between two requests to one host.
        guard: whom it may connect to; None: public addresses.
        limits: what one GET may cost.
        pause_s: see :data:`PAUSE_S`.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        delay_s: float,
        guard: Guard | None = None,
        limits: WebLimits | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._user_agent = user_agent
        self._delay_s = delay_s
        self._guard = guard or Guard()
        self._limits = limits or WebLimits()
        self._pause_s = pause_s
        self._asked: tuple[str, float] = ("", 0.0)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._session = aiohttp.ClientSession(
            connector=connector(self._guard),
            timeout=aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s, sock_read=limits.idle_s),
            headers={"User-Agent": self._user_agent, "Accept": ACCEPT, "Accept-Encoding": "gzip"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # its limits are those of one who reads the file
            trust_env=False,
            response_class=Answer,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def download(self, url: str, file: BinaryIO) -> str:
        """GET ``url``, follow its redirects, and write the body into ``file``.

        Args:
            url: canonical.
            file: empty; what a failed try has left there is removed.

        Returns:
            The URL that the body is from.

        Raises:
            NotAListing: ``http_404`` and the like, ``blocked`` (by the guard), ``timeout``, ``dns``, ``connect``,
                ``tls``, ``protocol``, ``too_large``, ``coding``, ``redirects`` (too many) or ``redirect`` (to nowhere).
        """
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._tried(url, file)
            if answer.reason:
                raise NotAListing(answer.reason)
            if not answer.location:
                return url
            url = answer.location
        raise NotAListing("redirects")

    async def _tried(self, url: str, file: BinaryIO) -> _Answer:
        number = 0
        while True:
            await self._rest(host(url))
            file.seek(0)
            file.truncate()
            answer = await self._get(url, file)
            if answer.try_again_s is None or number == TRIES - 1:
                return answer
            await asyncio.sleep(max(answer.try_again_s, self._pause_s * 4**number))
            number += 1

    async def _rest(self, name: str) -> None:
        """Wait until the host has had its rest since the last request, when that was to the same one."""
        last, ended_s = self._asked
        if last == name:
            await asyncio.sleep(ended_s + self._delay_s - time.monotonic())

    async def _get(self, url: str, file: BinaryIO) -> _Answer:
        try:
            async with self._session.get(URL(url, encoded=True), allow_redirects=False) as answer:
                assert isinstance(answer, Answer)
                return await self._received(answer, url, file)
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, ValueError) as error:
            reason = _reason(error)
            return _Answer(reason, try_again_s=0 if reason in ("timeout", "connect", "protocol") else None)
        finally:
            self._asked = (host(url), time.monotonic())

    async def _received(self, answer: Answer, url: str, file: BinaryIO) -> _Answer:
        if answer.status in _REDIRECTS:
            return _redirect(url, answer.headers.get("Location", ""))
        if answer.status != 200:
            pause_s = _retry_after_s(answer) if answer.status in _TRY_AGAIN else None
            return _Answer(f"http_{answer.status}", try_again_s=pause_s)
        if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("gzip", "x-gzip", "identity", ""):
            return _Answer("coding")
        size = 0
        with Arrival(answer, self._limits.pace) as arrival:
            while data := await arrival.read():
                size += len(data)
                if size > self._limits.body_bytes:
                    return _Answer("too_large")
                file.write(data)
        return _Answer()


def _redirect(url: str, location: str) -> _Answer:
    try:
        return _Answer(location=join(url, location))
    except UrlInvalid:
        return _Answer("redirect")


def _retry_after_s(answer: aiohttp.ClientResponse) -> float | None:
    """What the site asks for, in seconds; None: more than a run waits. A date counts as not said."""
    asked = answer.headers.get("Retry-After", "").strip()
    wait_s = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return wait_s if wait_s <= LONGEST_PAUSE_S else None


def _reason(error: Exception) -> str:
    if blocked(error) is not None:
        return "blocked"
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ClientPayloadError():
            return "protocol"
        case aiohttp.ClientConnectionError() | OSError():
            return "connect"
        case _:
            return "protocol"
