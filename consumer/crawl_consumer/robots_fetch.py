"""Asking one origin for its robots.txt: redirects, limits and failures by RFC 9309, section 2.3.1."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from crawl_consumer.response import FailureKind, FetchFailure, Response
from crawl_consumer.robots_file import PARSE_LIMIT_BYTES, Meaning, fresh_s, meaning, within_limit
from crawl_dedup.canonical import join
from crawl_dedup.errors import UrlInvalid
from crawl_dedup.robots_cache import MAX_FRESH_S

#: Redirects that are followed, to any authority: the least that RFC 9309 (2.3.1.2) asks for. Behind more of them
#: there is no file.
MAX_REDIRECTS = 5
#: Seconds for all of it, redirects included. Whoever is slower cannot be asked now; its URLs wait meanwhile.
TOTAL_S = 30.0


class Asks(Protocol):
    """What is needed of the fetcher."""

    async def fetch(
        self, url: str, *, first_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | FetchFailure:
        """See :meth:`crawl_consumer.fetch.Fetcher.fetch`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an origin said.

    Attributes:
        body: the file, empty where there is none; None: it could not be had.
        reason: how that came, in one line.
        fresh_s: for how long it may be believed; without meaning where there is no body.
        blocked: it, or what it redirects to, is where this crawl may not go.
    """

    body: bytes | None
    reason: str
    fresh_s: float = MAX_FRESH_S
    blocked: bool = False


async def ask(fetcher: Asks, origin: str) -> Answer:
    """Fetch an origin's robots.txt. What a redirect leads to speaks for the origin that was asked first."""
    url = f"{origin}/robots.txt"
    try:
        async with asyncio.timeout(TOTAL_S):
            for _ in range(MAX_REDIRECTS + 1):
                result = await fetcher.fetch(url, first_bytes=PARSE_LIMIT_BYTES + 1)
                if isinstance(result, FetchFailure):
                    refused = result.kind is FailureKind.BLOCKED
                    return Answer(None, f"{result.kind.value}: {result.detail}", blocked=refused)
                if not result.location:
                    return _understood(result)
                url = join(url, result.location)
    except TimeoutError:
        return Answer(None, f"timeout: no answer within {TOTAL_S:.0f} s")
    except UrlInvalid as error:
        return Answer(b"", f"a redirect to no URL that could be asked ({error})")
    return Answer(b"", f"more than {MAX_REDIRECTS} redirects")


def _understood(response: Response) -> Answer:
    reason, seconds = f"http_{response.status}", fresh_s(response.headers)
    match meaning(response.status):
        case Meaning.RULES:
            return Answer(within_limit(response.body), reason, seconds)
        case Meaning.NO_FILE:
            return Answer(b"", reason, seconds)
        case Meaning.NOT_NOW:
            return Answer(None, reason)
