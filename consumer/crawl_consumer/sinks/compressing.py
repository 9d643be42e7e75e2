"""Compression of one group: a whole gzip member or zstd frame, so that what is complete on disk can be read.

A reader of either format goes on with the next member where one ends (RFC 1952 section 2.2, RFC 8878 section 3).
"""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

from crawl_consumer.zstd import zstd

#: Compresses bytes as they are, or not at all.
Compress = Callable[[bytes], bytes]

#: zlib's and zstd's own defaults: higher levels cost more time than they save space on small groups.
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3


def compression_for(path: Path) -> Compress:
    """What the name's last ending asks for: ``.gz``, ``.zst`` or none."""
    match path.suffix:
        case ".gz":
            return partial(gzip.compress, compresslevel=_GZIP_LEVEL, mtime=0)
        case ".zst":
            return partial(zstd.compress, level=_ZSTD_LEVEL)
        case _:
            return bytes
