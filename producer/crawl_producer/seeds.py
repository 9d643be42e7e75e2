"""Reading seeds: URLs from arguments, a plain or gzipped file, or standard input, one a line."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer.errand import Errand
from crawl_producer.errors import SeedsUnreadable

#: A line longer than this is not read into memory as a whole: no URL of ours is a fraction of it.
MAX_LINE_BYTES = 65_536
#: Bytes to a read of the file.
READ_BYTES = 1 << 18

_GZIP_MAGIC = b"\x1f\x8b"


class Seed(NamedTuple):
    """A canonical URL; a tuple for the same reason as :class:`crawl_producer.broker.Outgoing`.

    Attributes:
        line: on which it stands, or its number among arguments or entries, from 1.
        url: canonical.
        root: host of the site that it belongs to, for the scope of its links; empty: its own host.
        depth: links away from a seed; None: what the command says for all.
        errand: what goes with it to the spider; None: nothing.
    """

    line: int
    url: str
    root: str = ""
    depth: int | None = None
    errand: Errand | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """What is no URL to crawl, and why.

    Attributes:
        line: as for :class:`Seed`; 0: all of its source.
        text: at most 200 characters of it.
        reason: a word to count by, perhaps with details behind a colon.
        source: the sitemap, feed, key or queue that it stands in; empty: arguments, a file or standard input.
    """

    line: int
    text: str
    reason: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where lines come from: the stream to read, and how many bytes of the file are behind it."""

    stream: BinaryIO
    position: Callable[[], int]


@contextmanager
def opened(path: Path | None, stdin: BinaryIO) -> Iterator[Source]:
    """The lines of a file, or of standard input for None and ``-``; gzip is recognised by its first bytes.

    Raises:
        SeedsUnreadable: the file cannot be opened or read, or its compression is damaged.
    """
    with ExitStack() as stack:
        try:
            named = path is not None and str(path) != "-"
            # The raw stream: a buffer over another would wait for a full block from a slow pipe.
            piped = getattr(stdin, "raw", stdin)
            raw = stack.enter_context(path.open("rb", buffering=0)) if named and path is not None else piped
            buffered = io.BufferedReader(raw, READ_BYTES)  # type: ignore[type-var]  # any readable will do
            packed = buffered.peek(2)[:2] == _GZIP_MAGIC
            stream = gzip.GzipFile(fileobj=buffered) if packed else buffered
            yield Source(stream, raw.tell if named and raw.seekable() else lambda: 0)  # type: ignore[arg-type]
        except (OSError, EOFError, zlib.error) as error:
            raise SeedsUnreadable(
                f"{path or 'standard input'}: {error}", remedy="check the file and run again"
            ) from error


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of at most MAX_LINE_BYTES; of a longer one only the beginning, so memory stays constant."""
    while line := stream.readline(MAX_LINE_BYTES):
        yield line
        while len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)


def parse(lines: Iterable[bytes | str]) -> Iterator[Seed | Rejected]:
    """Each line as a seed or a rejection; blank lines and lines that begin with ``#`` are comments."""
    for number, raw in enumerate(lines, start=1):
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        if number == 1:
            text = text.removeprefix("\ufeff")
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield Seed(number, canonicalize(text))
        except UrlInvalid as error:
            yield Rejected(number, text[:200], str(error))
