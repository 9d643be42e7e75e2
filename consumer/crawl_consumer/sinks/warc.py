"""Responses as WARC 1.1 files, which archives and replay tools read.

https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/. Each record is a gzip member of its
own. A body is kept as the spider sees it, without its content coding, so the header fields that spoke of that coding
are left out.
"""

import asyncio
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Self

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import BufferWARCWriter

from crawl_consumer.response import Response
from crawl_consumer.sink import Record
from crawl_consumer.sinks.failing import written_to
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.series import FileSeries
from crawl_consumer.sinks.threads import OwnThread
from crawl_producer.rotation import Rotation

#: Fields that describe how the body came, not what it is.
_OF_THE_TRANSFER = frozenset({"content-encoding", "transfer-encoding", "content-length", "connection"})


class _InMemory(BufferWARCWriter):
    """Encodes records that are small enough to be in memory already."""

    def __init__(self, *, gzip: bool) -> None:
        BufferWARCWriter.__init__(self, gzip=gzip, warc_version="WARC/1.1")

    @staticmethod
    def _create_temp_file() -> BytesIO:
        return BytesIO()


class WarcSink:
    """Writes every response to a WARC file of this process' own; see :class:`crawl_consumer.sink.Sink`.

    Args:
        path: names the files: ``news.warc.gz`` becomes ``news-<writer>-00001.warc.gz`` and so on.
        writer: told apart by this from all other processes that ever write here.
        rotation: when the next file is begun.
        software: told in each file's first record.
    """

    def __init__(self, path: Path, *, writer: str, rotation: Rotation, software: str) -> None:
        self._path = path
        self._gzip = path.suffix == ".gz"
        self._software = software
        self._series = FileSeries(path, writer=writer, rotation=rotation, head=self._warcinfo)
        self._thread: OwnThread
        self._groups: Groups[bytes] = Groups(self._append)

    def __repr__(self) -> str:
        return f"WarcSink({str(self._path)!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        self._thread = OwnThread("warc")
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._groups.close()
        finally:
            await asyncio.shield(self._close())

    def write(self, record: Record) -> None:
        """Forget the record: responses only."""

    def archive(self, response: Response, /) -> bool:
        """Take a response into the next group; one whose body was not downloaded is kept without it.

        Raises:
            OutputFailed: an earlier group failed.
        """
        self._groups.add(self._record(response))
        return True

    async def flush(self) -> None:
        """Return when every response taken before is on disk.

        Raises:
            OutputFailed: disk full, input/output error.
        """
        await self._groups.flush()

    async def _append(self, records: list[bytes]) -> None:
        with written_to(self._path):
            await self._thread.run(lambda: self._series.append(b"".join(records)))

    def _record(self, response: Response) -> bytes:
        writer: BufferWARCWriter = _InMemory(gzip=self._gzip)
        kept = [
            (_ascii(name), line)  # several fields of one name are lines of one value here
            for name, value in response.headers.items()
            if name not in _OF_THE_TRANSFER
            for line in value.split("\n")
        ]
        fields = [*kept, ("content-length", str(len(response.body)))]
        status = f"{response.status} {_ascii(response.reason)}".strip()
        headers = StatusAndHeaders(status, fields, protocol="HTTP/1.1")
        when = datetime.fromtimestamp(response.fetched_at, UTC).isoformat(timespec="microseconds")
        about = {"WARC-Date": when.replace("+00:00", "Z")}
        if not response.body_read:
            about["WARC-Truncated"] = "unspecified"
        if not response.tls_verified:
            about["X-TLS-Verified"] = "no"  # the format has no word for it; others pass over what they do not know
        record = writer.create_warc_record(
            response.url, "response", payload=BytesIO(response.body), http_headers=headers, warc_headers_dict=about
        )
        writer.write_record(record)
        return bytes(writer.get_contents())

    def _warcinfo(self) -> bytes:
        writer: BufferWARCWriter = _InMemory(gzip=self._gzip)
        info = {"software": self._software, "format": "WARC File Format 1.1"}
        writer.write_record(writer.create_warcinfo_record("", info))
        return bytes(writer.get_contents())

    async def _close(self) -> None:
        try:
            await self._thread.run(self._series.close)
        finally:
            self._thread.end()


def _ascii(text: str) -> str:
    """What HTTP allows there (RFC 9112 section 4), and warcio can write: printable ASCII."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
