"""The bytes of a file behind its gzip, recognised by what they are and not by what they are called."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from crawl_producer.sources.found import NotAListing

#: The largest sitemap there may be, uncompressed (https://www.sitemaps.org/protocol.html#sitemapXMLFormat);
#: nothing behind it is read.
MAX_BYTES = 52_428_800
#: gzip inside gzip: a file ``.xml.gz`` that the server compresses once more on its way. Honest files stop there.
MAX_LAYERS = 2
#: Bytes to a read, and at most so many out of one step of decompression.
CHUNK_BYTES = 1 << 16

_MAGIC = b"\x1f\x8b"
_WBITS = 16 + zlib.MAX_WBITS


def unpacked(file: BinaryIO, *, max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """The file's content in chunks.

    Args:
        file: from its beginning.
        max_bytes: of the content, uncompressed.

    Raises:
        NotAListing: ``too_large``, ``damaged_gzip`` or ``cut_short``, behind the last chunk that could be read.
    """
    chunks: Iterator[bytes] = iter(lambda: file.read(CHUNK_BYTES), b"")
    for _ in range(MAX_LAYERS):
        chunks = _unpacked_once(chunks)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            yield chunk[: len(chunk) - (size - max_bytes)]
            raise NotAListing("too_large")
        yield chunk


def _unpacked_once(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= len(_MAGIC):
            break
    if start.startswith(_MAGIC):
        yield from _inflated(start, chunks)
    else:
        if start:
            yield start
        yield from chunks


def _inflated(start: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Every member of a gzip file (RFC 1952, 2.2); padding behind the last one is common, and passed over."""
    stream, data = zlib.decompressobj(_WBITS), start
    try:
        while True:
            while data and not stream.eof:
                if out := stream.decompress(data, CHUNK_BYTES):
                    yield out
                data = stream.unconsumed_tail
            if stream.eof:
                data = stream.unused_data
                while len(data) < len(_MAGIC) and (more := next(chunks, b"")):
                    data += more
                if not data.startswith(_MAGIC):
                    return
                stream = zlib.decompressobj(_WBITS)
            elif not (data := next(chunks, b"")):
                raise NotAListing("cut_short")
    except zlib.error:
        raise NotAListing("damaged_gzip") from None
