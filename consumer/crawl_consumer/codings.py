"""The codings that bodies are compressed with, each undone in small pieces: gzip, deflate, br and zstd."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import brotli

from crawl_consumer.zstd import zstd

#: What we ask for, in the order in which servers should think of it where they do not care.
ACCEPT_ENCODING = "gzip, deflate, br, zstd"
#: Codings that exist and that nobody was asked for.
NOT_ASKED_FOR = frozenset({"compress", "x-compress", "dcb", "dcz"})
#: gzip members (RFC 1952, 2.2) and zstd frames (RFC 8878, 3.1) may be several in a row. Each costs 20 µs, however
#: little is in it; a body of nothing but empty ones would cost 10 s.
MAX_MEMBERS = 1024
#: The largest window that a zstd frame of HTTP may ask for: 8 MiB (RFC 9659, 3).
MAX_WINDOW_LOG = 23
#: Bytes that come out at once, about. More would cost memory, less the way in and out.
_PIECE_BYTES = 1 << 16

_GZIP_WBITS = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"


class _Stream(Protocol):
    """One member, undone."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What these bytes give."""

    @property
    def eof(self) -> bool:
        """Whether it came to its end."""

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""


@dataclass(frozen=True, slots=True)
class CodingSpec:
    """A content coding.

    Attributes:
        name: for messages.
        stream: undoes the member that begins with these bytes.
        start_bytes: how many it takes to know.
        is_start: whether another member begins with these bytes; None: there is only one.
        has_padding: bytes behind the end are passed over, as they are common; else they are damage.
    """

    name: str
    stream: Callable[[bytes], _Stream]
    start_bytes: int
    is_start: Callable[[bytes], bool] | None = None
    has_padding: bool = True


class Coding:
    """One coding of one body.

    Args:
        spec: which.
    """

    __slots__ = ("_held", "_is_over", "_members", "_spec", "_stream")

    def __init__(self, spec: CodingSpec) -> None:
        self._spec = spec
        self._stream: _Stream | None = None
        self._members = 0
        self._held = b""  #: too few bytes to know what they begin
        self._is_over = False  #: what comes now is padding

    def undo(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes give, piece by piece.

        Raises:
            ValueError: they are damaged; the message is the reason.
        """
        try:
            yield from self._undo(data)
        except (zlib.error, zstd.ZstdError, brotli.error) as error:
            raise ValueError(f"{self._spec.name} damaged: {error}") from None

    def end(self) -> None:
        """There are no more bytes. Raises ValueError: but there should be."""
        if self._stream is not None or (self._held and not self._members):
            raise ValueError(f"{self._spec.name} cut short")

    def _undo(self, data: bytes) -> Iterator[bytes]:
        while data and not self._is_over:
            if self._stream is None:
                data, self._held = self._held + data, b""
                if len(data) < self._spec.start_bytes:
                    self._held = data
                    return
                if self._members and not self._begins(data):
                    self._pass_over()
                    return
                self._begin(data)
            assert self._stream is not None
            yield from self._stream.pieces(data)
            if not self._stream.eof:
                return
            data, self._stream = self._stream.unused_data, None

    def _begins(self, data: bytes) -> bool:
        return self._spec.is_start is not None and self._spec.is_start(data)

    def _pass_over(self) -> None:
        if not self._spec.has_padding:
            raise ValueError(f"{self._spec.name} damaged: bytes behind its end")
        self._is_over = True

    def _begin(self, data: bytes) -> None:
        if self._members == MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} {self._spec.name} members")
        self._members += 1
        self._stream = self._spec.stream(data)


class _Told:
    """A stream whose library tells where it ends."""

    __slots__ = ("_stream",)
    _stream: Any

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)


class _Zlib(_Told):
    __slots__ = ()

    def __init__(self, wbits: int) -> None:
        self._stream = zlib.decompressobj(wbits)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        is_full = True
        while not self._stream.eof and (data or is_full):  # a full piece may have left more inside
            piece = self._stream.decompress(data, _PIECE_BYTES)
            is_full = len(piece) == _PIECE_BYTES
            data = self._stream.unconsumed_tail
            if piece:
                yield piece


class _Zstd(_Told):
    __slots__ = ()

    def __init__(self, _start: bytes) -> None:
        self._stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            if piece := self._stream.decompress(data, _PIECE_BYTES):
                yield piece
            if self._stream.eof or self._stream.needs_input:
                return
            data = b""


class _Brotli:
    __slots__ = ("_stream",)

    def __init__(self, _start: bytes) -> None:
        self._stream = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while piece := self._stream.process(data, output_buffer_limit=_PIECE_BYTES):
            yield piece
            data = b""
            if self._stream.is_finished():
                return

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())

    @property
    def unused_data(self) -> bytes:
        return b""


def libraries() -> dict[str, str]:
    """The libraries behind br and zstd, and their versions."""
    return {"brotli": str(brotli.__version__), "zstd": zstd.zstd_version}


def _deflate(start: bytes) -> _Stream:
    """``deflate`` means a zlib stream, but some servers send a bare one (RFC 9110, 8.4.1.2)."""
    has_zlib_header = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
    return _Zlib(zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)


def _is_gzip(start: bytes) -> bool:
    return start.startswith(_GZIP_MAGIC)


def _is_zstd(start: bytes) -> bool:
    return start.startswith(_ZSTD_MAGIC) or (start[0] & 0xF0 == 0x50 and start[1:4] == _ZSTD_SKIPPABLE)


_GZIP = CodingSpec("gzip", lambda _: _Zlib(_GZIP_WBITS), 2, _is_gzip)
#: By the names of the HTTP registry (https://www.iana.org/assignments/http-parameters/).
CODINGS: Mapping[str, CodingSpec] = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": CodingSpec("deflate", _deflate, 2),
    "br": CodingSpec("br", _Brotli, 1, has_padding=False),  # to its library they are damage, when they come at once
    "zstd": CodingSpec("zstd", _Zstd, 4, _is_zstd),
}
