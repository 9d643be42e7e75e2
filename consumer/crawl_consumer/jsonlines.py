"""Records as JSON lines in a file, safely on disk when a flush returns.

Whatever is written while one group of lines is being synced makes up the next group, so that the price of a sync
is shared by all pages in flight. A group is added as :mod:`crawl_consumer.appending` promises: whole or not at all.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from crawl_consumer.appending import AppendedFile
from crawl_consumer.errors import ItemInvalid, OutputFailed

_REMEDY = "make room, or choose another --output; what was not acknowledged comes again"

_T = TypeVar("_T")


class JsonLinesSink:
    """Appends one line of UTF-8 JSON for each record; see :class:`crawl_consumer.sink.Sink`.

    Values may be what JSON knows, dates, sets, dataclasses and pydantic models; NaN and infinity become null.

    Args:
        path: the file, made with its folder where it is missing; ``-`` is standard output. What is no plain file
            (a pipe, a terminal) is written to, but cannot be synced.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._file: AppendedFile
        self._thread: ThreadPoolExecutor
        self._lines: list[bytes] = []
        self._syncing: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._failure: str | None = None

    def __repr__(self) -> str:
        return f"JsonLinesSink({str(self._path)!r}, waiting={len(self._lines)}, failure={self._failure!r})"

    async def __aenter__(self) -> Self:
        # A thread of our own: the loop's shared ones may all be busy resolving names for half a minute.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jsonlines")
        try:
            self._file = await self._in_thread(lambda: AppendedFile(self._path))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            if self._failure is None:
                await self.flush()
        finally:
            await asyncio.shield(self._close())

    def write(self, record: Mapping[str, object]) -> None:
        """Take a record into the next group.

        Raises:
            ItemInvalid: a value is nothing that JSON can hold.
            OutputFailed: an earlier group failed.
        """
        self._refuse_after_failure()
        self._lines.append(_line(record))

    async def flush(self) -> None:
        """Return when every record written before is on disk; whoever is cancelled here leaves the others be.

        Raises:
            OutputFailed: disk full, input/output error. Nothing is written any more after that: a second sync
                would report success for pages that the system has already given up.
        """
        self._refuse_after_failure()
        if self._lines and self._next is None:
            self._next = asyncio.create_task(self._sync_group(self._syncing))
        if (group := self._next if self._lines else self._syncing) is not None:
            await asyncio.shield(group)

    async def _sync_group(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._refuse_after_failure()
        self._syncing, self._next = self._next, None
        group, self._lines = b"".join(self._lines), []
        try:
            await self._in_thread(lambda: self._file.append(group))
        except OutputFailed as error:
            self._failure = str(error)
            raise

    async def _close(self) -> None:
        try:
            await self._in_thread(self._file.close)
        finally:
            self._thread.shutdown(wait=False)

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise OutputFailed(self._failure, remedy=_REMEDY)

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except OSError as error:
            raise OutputFailed(f"cannot write {self._path}: {error.strerror or error}", remedy=_REMEDY) from error


def _line(record: Mapping[str, object]) -> bytes:
    fields = record if isinstance(record, dict) else dict(record)
    try:
        return to_json(fields, inf_nan_mode="null") + b"\n"
    except PydanticSerializationError:
        key = next(key for key, value in fields.items() if not _fits(key, value))
        raise ItemInvalid(
            f"item key {key!r}: a {type(fields[key]).__name__} that JSON cannot hold",
            remedy="make it text, a number, a date, or a list or dict of them",
        ) from None


def _fits(key: object, value: object) -> bool:
    try:
        to_json({key: value}, inf_nan_mode="null")
    except PydanticSerializationError:
        return False
    return True
