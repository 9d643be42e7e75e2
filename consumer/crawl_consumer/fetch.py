"""One GET with limits: a URL in, a response or a failure out. The web's dirt is data and never raises.

Redirects are not followed (their targets are new URLs, through the same door), cookies are not kept unless the crawl
asks for it, proxies and passwords from the environment are not used, certificates are verified unless the crawl says
otherwise of a host.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import aiohttp
from yarl import URL

from crawl_consumer.addresses import Addresses
from crawl_consumer.body import receive
from crawl_consumer.codings import ACCEPT_ENCODING
from crawl_consumer.cookies import HostCookies
from crawl_consumer.decode import TooLong
from crawl_consumer.fields import cleaned, is_parsable, media_type
from crawl_consumer.host_headers import HostHeaders
from crawl_consumer.host_tls import HostTls
from crawl_consumer.resolver import HostsResolver
from crawl_consumer.response import FailureKind, FetchFailure, Headers, Response
from crawl_dedup import shown
from crawl_producer.answer import Answer
from crawl_producer.arrival import Pace
from crawl_producer.guard import Guard
from crawl_producer.guarded import blocked, connector
from crawl_producer.topology import LimitsSpec
from crawl_producer.user_agent import user_agent

__all__ = ["FailureKind", "FetchFailure", "FetchLimits", "Fetcher", "Response", "user_agent"]

#: Resolved names kept, and for how long. Beyond it names are resolved again, which is slower, not wrong.
DNS_CACHE_HOSTS = 10_000
DNS_CACHE_S = 300
#: HTML first, and anything else rather than an error page about what we accept.
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

_MAX_DETAIL_CHARS = 200


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one GET may cost.

    Attributes:
        total_s: from the call to the last byte.
        connect_s: per address that is tried, TLS included.
        idle_s: between two reads.
        body_bytes: of the body, as sent and as decoded.
        pace: the slowest that a body may come: without it, one that drips ends only with ``total_s``.
    """

    total_s: float = 60
    connect_s: float = 10
    idle_s: float = 30
    body_bytes: int = 8 * 1024 * 1024
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, spec: LimitsSpec) -> Self:
        """What a crawl's ``limits:`` say, and for the rest the defaults."""
        return cls(total_s=spec.total_s, body_bytes=spec.body_bytes, pace=Pace(spec.min_bytes_per_s))


class Fetcher:
    """Sends GETs over one pool of connections; open it with ``async with``.

    Args:
        limits: what one GET may cost.
        user_agent: see :func:`crawl_producer.user_agent.user_agent`.
        connections: open at once. Fetches beyond that wait, and their waiting counts against ``total_s``.
        guard: whom it may connect to; None: public addresses.
        hosts: addresses of names that DNS is not asked for (``crawl-consumer --hosts``).
        host_headers: header fields for some hosts; None: every host gets the same.
        host_tls: hosts whose certificates are not verified; None: there are none.
        cookies: send back to each host what it has set.
    """

    def __init__(
        self,
        limits: FetchLimits,
        *,
        user_agent: str,
        connections: int,
        guard: Guard | None = None,
        hosts: Mapping[str, str] | None = None,
        host_headers: HostHeaders | None = None,
        host_tls: HostTls | None = None,
        cookies: bool = False,
    ) -> None:
        self._limits = limits
        self._connections = connections
        self._guard = guard or Guard()
        self._headers = {"User-Agent": user_agent, "Accept": ACCEPT, "Accept-Encoding": ACCEPT_ENCODING}
        self._resolver = HostsResolver(hosts or {})
        self._addresses = Addresses(self._resolver, keep_s=DNS_CACHE_S, keep_hosts=DNS_CACHE_HOSTS)
        self._host_tls = host_tls
        self._cookies = cookies
        self._middlewares = (_adding(host_headers),) if host_headers is not None else ()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._session = aiohttp.ClientSession(
            connector=connector(
                self._guard,
                self._resolver,
                limit=self._connections,
                ttl_dns_cache=DNS_CACHE_S,
                dns_cache_max_size=DNS_CACHE_HOSTS,
            ),
            timeout=aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s, sock_read=limits.idle_s),
            headers=self._headers,
            cookie_jar=HostCookies() if self._cookies else aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            middlewares=self._middlewares,
            response_class=Answer,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def address(self, host: str) -> str | None:
        """What requests to ``host`` have in common with those to its neighbours; see :meth:`Addresses.of`."""
        return await self._addresses.of(host)

    async def fetch(
        self, url: str, *, first_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | FetchFailure:
        """GET ``url``, which must be canonical: it is sent as it stands (except for a ``?`` with nothing behind).

        Args:
            url: what to ask for.
            first_bytes: no more of the body is wanted, but this much of it whatever its media type is; None: all
                of a body that holds text, and a body above the limit is a failure.
            headers: fields to send besides ours, or instead of them.
        """
        fetched_at, started = time.time(), time.monotonic()
        try:
            target = _target(url)
        except ValueError as error:
            return FetchFailure(FailureKind.PROTOCOL, f"no URL to ask for: {error}", _ms_since(started))
        is_unverified = self._is_unverified(target)
        try:
            request = self._session.get(target, allow_redirects=False, headers=headers, ssl=not is_unverified)
            async with request as answer:
                assert isinstance(answer, Answer)
                result = await self._receive(answer, url, fetched_at, started, first_bytes)
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, UnicodeError) as error:
            return FetchFailure(_kind(error), _detail(error), _ms_since(started))
        if is_unverified and isinstance(result, Response):
            return replace(result, tls_verified=False)
        return result

    def _is_unverified(self, target: URL) -> bool:
        hosts = self._host_tls
        return hosts is not None and hosts.is_unverified(target.scheme, target.raw_host or "", target.port or 0)

    async def _receive(
        self, answer: Answer, url: str, fetched_at: float, started: float, first_bytes: int | None
    ) -> Response | FetchFailure:
        answered_after_ms = _ms_since(started)
        headers = cleaned(answer.headers.items())
        content_type, charset = media_type(headers.get("content-type", ""))
        body = b""
        size = answer.content_length or 0
        if body_read := first_bytes is not None or is_parsable(content_type):
            limits, codings = self._limits, headers.get("content-encoding", "")
            try:
                size, body = await receive(
                    answer, codings, limit_bytes=limits.body_bytes, first_bytes=first_bytes, pace=limits.pace
                )
            except TooLong as error:
                return FetchFailure(FailureKind.TOO_LARGE, str(error), _ms_since(started))
            except ValueError as error:
                return FetchFailure(FailureKind.DECODE, str(error), _ms_since(started))
        return Response(
            url=url,
            status=answer.status,
            reason=answer.reason or "",
            headers=Headers(headers),
            body=body,
            content_type=content_type,
            header_charset=charset,
            body_read=body_read,
            wire_bytes=size,
            elapsed_ms=_ms_since(started),
            answered_after_ms=answered_after_ms,
            fetched_at=fetched_at,
        )


def _adding(host_headers: HostHeaders) -> aiohttp.ClientMiddlewareType:
    """A step of aiohttp's that crawls without such fields do not have."""

    async def add(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        url = request.url
        request.headers.update(host_headers.of(url.scheme, url.raw_host or "", url.port or 0))
        return await send(request)

    return add


def _target(url: str) -> URL:
    target = URL(url, encoded=True)
    if not target.raw_host or target.port is None:  # looked at only now: these raise ValueError where they are wrong
        raise ValueError("no host")
    return target


def _kind(error: Exception) -> FailureKind:
    if blocked(error) is not None:
        return FailureKind.BLOCKED
    match error:
        case TimeoutError():
            return FailureKind.TIMEOUT
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # no name in DNS can be spelled like this host
            return FailureKind.DNS
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return FailureKind.TLS
        case aiohttp.ClientConnectionError() | OSError():
            return FailureKind.CONNECT
        case _:
            return FailureKind.PROTOCOL


def _detail(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            text = str(error.os_error)
        case aiohttp.ClientResponseError():
            text = error.message
        case TimeoutError():
            text = str(error) or "not complete in time"
        case _:
            text = str(error)
    line = " ".join(text.split()) or type(error).__name__
    return shown(line, _MAX_DETAIL_CHARS)


def _ms_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
