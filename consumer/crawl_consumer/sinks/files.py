"""Records in series of files: JSON lines or CSV, compressed if the name says so; each kind of item has its own CSV."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.compressing import compression_for
from crawl_consumer.sinks.failing import written_to
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.lines import columns_of, csv_cells, csv_line, json_line
from crawl_consumer.sinks.series import FileSeries
from crawl_consumer.sinks.threads import OwnThread
from crawl_producer.rotation import Rotation


class FilesSink(ItemsOnly):
    """Writes records to files of this process' own; see :class:`crawl_consumer.sink.Sink`.

    Args:
        path: names them: ``news.jsonl.gz`` becomes ``news-<writer>-00001.jsonl.gz`` and so on; for CSV the kind of the
            items goes into the name as well.
        writer: told apart by this from all other processes that ever write here.
        rotation: when the next file is begun.
    """

    def __init__(self, path: Path, *, writer: str, rotation: Rotation) -> None:
        self._path = path
        self._writer = writer
        self._rotation = rotation
        self._compress = compression_for(path)
        self._is_csv = ".csv" in path.suffixes
        self._columns: dict[str, tuple[str, ...]] = {}
        self._series: dict[str, FileSeries] = {}
        self._thread: OwnThread
        self._groups: Groups[tuple[str, bytes]] = Groups(self._append)

    def __repr__(self) -> str:
        return f"FilesSink({str(self._path)!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        self._thread = OwnThread("files")
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._groups.close()
        finally:
            await asyncio.shield(self._close())

    def write(self, record: Record) -> None:
        """Take a record into the next group.

        Raises:
            ItemInvalid: JSON cannot hold a value, or the CSV file of its kind has no column for it.
            OutputFailed: an earlier group failed.
        """
        if not self._is_csv:
            self._groups.add(("", json_line(record)))
            return
        columns = self._columns.get(record.kind) or columns_of(record)
        line = csv_line(csv_cells(record, columns))
        self._columns[record.kind] = columns
        self._groups.add((record.kind, line))

    async def flush(self) -> None:
        """Return when every record written before is on disk.

        Raises:
            OutputFailed: disk full, input/output error.
        """
        await self._groups.flush()

    async def _append(self, group: list[tuple[str, bytes]]) -> None:
        with written_to(self._path):
            await self._thread.run(lambda: self._append_by_kind(group))

    def _append_by_kind(self, group: Sequence[tuple[str, bytes]]) -> None:
        for kind in dict.fromkeys(kind for kind, _ in group):
            lines = b"".join([line for of, line in group if of == kind])
            self._series_of(kind).append(self._compress(lines))

    def _series_of(self, kind: str) -> FileSeries:
        if kind not in self._series:
            name = f"{kind}-{self._path.name}" if kind else self._path.name
            head = self._compress(csv_line(self._columns[kind])) if kind else b""
            path = self._path.with_name(name)
            self._series[kind] = FileSeries(path, writer=self._writer, rotation=self._rotation, head=lambda: head)
        return self._series[kind]

    async def _close(self) -> None:
        try:
            for series in self._series.values():
                await self._thread.run(series.close)
        finally:
            self._thread.end()
