"""Responses kept in a folder, for development: a page that was fetched once is read back from there, without waiting.

One file a URL: a line of JSON about the response, then its body. A file appears whole or not at all, so several
processes may share a folder and any of them may be killed. Nothing gets old: who wants new pages empties the folder.
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from crawl_consumer.errors import OutputFailed, OutputInvalid
from crawl_consumer.politeness import Gate, OpenGate
from crawl_consumer.response import FetchFailure, Headers, Response
from crawl_consumer.robots_fetch import Asks
from crawl_consumer.turn import Turn
from crawl_dedup import Fingerprint
from crawl_producer.message import UrlMessage

#: Files of another version are not read.
VERSION = 1
#: Answers of a bad moment are asked for again.
_OF_THE_MOMENT = frozenset({408, 425, 429})
_ABOUT = tuple(field.name for field in fields(Response) if field.name not in {"body", "headers"})


class ResponseCache:
    """The folder.

    Args:
        folder: made where it is missing. Pages from behind a password are kept in it too: only its owner can read them.

    Raises:
        OutputInvalid: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputInvalid(f"cache {folder}: {error.strerror}", remedy="name a folder") from error

    def __repr__(self) -> str:
        return f"ResponseCache({str(self._folder)!r})"

    def read(self, url: str, first_bytes: int | None = None) -> Response | None:
        """The response that was kept for such a request; None: there is none that can be read."""
        try:
            head, _, body = self._path(url, first_bytes).read_bytes().partition(b"\n")
            about = json.loads(head)
            if about.pop("v") == VERSION and about.pop("body_bytes") == len(body) and about["url"] == url:
                return Response(headers=Headers(about.pop("headers")), body=body, **about)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return None

    def keep(self, response: Response, first_bytes: int | None = None) -> None:
        """Keep a response, unless it may be another one in a minute.

        Raises:
            OutputFailed: it cannot be written.
        """
        if response.status in _OF_THE_MOMENT or response.status >= 500:
            return
        about: dict[str, Any] = {name: getattr(response, name) for name in _ABOUT}
        about |= {"v": VERSION, "headers": dict(response.headers), "body_bytes": len(response.body)}
        path = self._path(response.url, first_bytes)
        try:
            _make(path.parent)
            _write(path, json.dumps(about).encode() + b"\n" + response.body)
        except OSError as error:
            raise OutputFailed(
                f"cache {self._folder}: {error.strerror}", remedy="make room, or name another folder"
            ) from error

    def _path(self, url: str, first_bytes: int | None) -> Path:
        asked = url if first_bytes is None else f"{first_bytes} {url}"
        name = hashlib.sha256(asked.encode()).hexdigest()
        return self._folder / name[:2] / name


class Cached:
    """Asks the cache first, and keeps what others answer.

    Args:
        asks: what asks when the cache does not know.
        cache: the folder.
    """

    def __init__(self, asks: Asks, cache: ResponseCache) -> None:
        self._asks = asks
        self._cache = cache
        self._at_hand: dict[str, Response] = {}

    async def fetch(
        self, url: str, *, first_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | FetchFailure:
        """See :meth:`crawl_consumer.fetch.Fetcher.fetch`; what is in the cache was asked for with any fields.

        Raises:
            OutputFailed: an answer cannot be kept.
        """
        if first_bytes is None and (response := self._at_hand.pop(url, None)) is not None:
            return response
        if (response := self._cache.read(url, first_bytes)) is not None:
            return response
        result = await self._asks.fetch(url, first_bytes=first_bytes, headers=headers)
        if isinstance(result, Response):
            self._cache.keep(result, first_bytes)
        return result

    def take(self, url: str) -> bool:
        """Read a response for the next :meth:`fetch` of ``url``, which asks nobody then; False: there is none."""
        if (response := self._cache.read(url)) is not None:
            self._at_hand[url] = response
        return response is not None

    def drop(self, url: str) -> None:
        """Forget what was taken and is not fetched."""
        self._at_hand.pop(url, None)


class CachedGate:
    """Lets those pass at once whose response is in the cache; all others go through the gate of politeness.

    Args:
        gate: that gate.
        cached: what fetches behind it.
    """

    def __init__(self, gate: Gate, cached: Cached) -> None:
        self._gate = gate
        self._cached = cached
        self._open = OpenGate()

    def hold_ms(self, message: UrlMessage) -> float:
        """See :meth:`crawl_consumer.politeness.Gate.hold_ms`."""
        return self._gate.hold_ms(message)

    @asynccontextmanager
    async def turn(self, message: UrlMessage, url: Fingerprint, *, crawl_delay_s: float = 0.0) -> AsyncIterator[Turn]:
        """See :meth:`crawl_consumer.politeness.Gate.turn`."""
        known = self._cached.take(message.url)
        gate: AbstractAsyncContextManager[Turn] = (self._open if known else self._gate).turn(
            message, url, crawl_delay_s=crawl_delay_s
        )
        try:
            async with gate as turn:
                yield turn
        finally:
            self._cached.drop(message.url)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink():  # somebody else's, and it leads who knows where
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _write(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
