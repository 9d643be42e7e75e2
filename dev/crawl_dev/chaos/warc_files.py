"""What is in a crawl's WARC files, read by the format's own rules and not by the library that has written them.

Source: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/, annex D for the compression.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: zlib's word for "a gzip header, and the largest window".
_GZIP = zlib.MAX_WBITS | 16
_BLANK = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Capture:
    """One response: the URL that was asked, the status and the body that came."""

    url: str
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Archive:
    """All files.

    Attributes:
        captures: every whole response, in no order.
        torn: files whose last record is cut.
        broken: what no death of a writer explains, one sentence each.
    """

    captures: Sequence[Capture] = ()
    torn: Sequence[str] = ()
    broken: Sequence[str] = ()


class _BrokenError(Exception):
    """A record is not what it says that it is."""


def read(files: Sequence[Path]) -> Archive:
    """Read gzipped WARC files, named ``<stem>-<writer>-<number>.warc.gz``."""
    captures: list[Capture] = []
    torn: list[str] = []
    broken: list[str] = []
    newest = {_writer(file): file for file in sorted(files)}
    for file in files:
        try:
            members = list(_members(file.read_bytes()))
            captures += [capture for member in members if member is not None for capture in _capture(member)]
        except _BrokenError as error:
            broken.append(f"{file.name}: {error}")
        else:
            if None in members and newest[_writer(file)] == file:
                torn.append(file.name)
            elif None in members:
                broken.append(f"{file.name}: it is cut, though its writer went on in another file")
    return Archive(captures, torn, broken)


def _writer(file: Path) -> str:
    return file.name.rpartition("-")[0]


def _members(content: bytes) -> Iterator[bytes | None]:
    """The content of each gzip member; None for a last one that is cut."""
    while content:
        unzip = zlib.decompressobj(_GZIP)
        try:
            member = unzip.decompress(content)
        except zlib.error as error:
            raise _BrokenError(f"no gzip: {error}") from error
        content = unzip.unused_data
        yield member if unzip.eof else None


def _capture(member: bytes) -> Iterator[Capture]:
    """The response in a record; none if it is of another type."""
    try:
        yield from _response(member)
    except (KeyError, ValueError) as error:
        raise _BrokenError(f"a record without a proper head: {error!r}") from error


def _response(member: bytes) -> Iterator[Capture]:
    version, fields, rest = _head(member)
    length = int(fields["content-length"])
    if version != b"WARC/1.1" or rest[length:] != _BLANK:
        raise _BrokenError(f"a record of {len(member)} bytes does not end where it says")
    if fields["warc-type"] != "response":
        return
    status_line, http, body = _head(rest[:length])
    digest = f"sha1:{base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()}"
    if int(http["content-length"]) != len(body) or fields["warc-payload-digest"] != digest:
        raise _BrokenError(f"the body of {fields['warc-target-uri']} is not the one that was written")
    yield Capture(fields["warc-target-uri"], int(status_line.split()[1]), body)


def _head(content: bytes) -> tuple[bytes, Mapping[str, str], bytes]:
    """The first line, the fields below it, and what follows the blank line."""
    head, blank, rest = content.partition(_BLANK)
    first, *lines = head.split(b"\r\n")
    if not blank:
        raise _BrokenError(f"a record without an end of its head: {first[:40]!r}")
    named = (line.decode("latin-1").partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in named}, rest
