"""Records as JSON lines in a file, safely on disk when a flush returns.

A group of lines is added as :mod:`.appending` promises: whole or not at all, whoever else writes to the file.
"""

import asyncio
from pathlib import Path
from typing import Self

from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.appending import AppendedFile
from crawl_consumer.sinks.failing import written_to
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.lines import json_line
from crawl_consumer.sinks.threads import OwnThread


class JsonLinesSink(ItemsOnly):
    """Appends one line of UTF-8 JSON for each record; see :class:`crawl_consumer.sink.Sink`.

    Args:
        path: the file, made with its folder where it is missing; ``-`` is standard output. What is no plain file
            (a pipe, a terminal) is written to, but cannot be synced.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._file: AppendedFile
        self._thread: OwnThread
        self._groups = Groups(self._append)

    def __repr__(self) -> str:
        return f"JsonLinesSink({str(self._path)!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        self._thread = OwnThread("jsonlines")
        try:
            with written_to(self._path):
                self._file = await self._thread.run(lambda: AppendedFile(self._path))
        except BaseException:
            self._thread.end()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._groups.close()
        finally:
            await asyncio.shield(self._close())

    def write(self, record: Record) -> None:
        """Take a record into the next group.

        Raises:
            ItemInvalid: a value is nothing that JSON can hold.
            OutputFailed: an earlier group failed.
        """
        self._groups.add(json_line(record))

    async def flush(self) -> None:
        """Return when every record written before is on disk.

        Raises:
            OutputFailed: disk full, input/output error.
        """
        await self._groups.flush()

    async def _append(self, lines: list[bytes]) -> None:
        with written_to(self._path):
            await self._thread.run(lambda: self._file.append(b"".join(lines)))

    async def _close(self) -> None:
        try:
            await self._thread.run(self._file.close)
        finally:
            self._thread.end()
