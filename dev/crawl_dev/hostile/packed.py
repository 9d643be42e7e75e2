"""Hazards of content codings: bombs, stacks, crowds of members, windows, and what was cut short."""

import gzip
import zlib
from collections.abc import Callable
from functools import cache

import brotli

from crawl_consumer.zstd import zstd
from crawl_dev.hostile.hazard import Hazard, always, answer

#: What a bomb decodes to: far above every limit, and no burden to make.
BOMB_BYTES = 64 << 20

_PAGE = b"<title>packed</title><a href=/next>next</a>" * 50
_ZEROS = bytes(1 << 20)
#: The header of a gzip member up to its file name (RFC 1952, 2.3).
_NAMED = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"


def _packed(feed: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> bytes:
    return b"".join([*[feed(_ZEROS) for _ in range(BOMB_BYTES >> 20)], finish()])


@cache
def bomb(coding: str) -> bytes:
    """A body of some hundred bytes or kilobytes that decodes to :data:`BOMB_BYTES`."""
    match coding:
        case "br":
            brotli_packer = brotli.Compressor(quality=9, lgwin=24)
            return _packed(brotli_packer.process, brotli_packer.finish)
        case "zstd":
            zstd_packer = zstd.ZstdCompressor()
            return _packed(zstd_packer.compress, zstd_packer.flush)
        case _:
            zlib_packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
            return _packed(zlib_packer.compress, zlib_packer.flush)


@cache
def _name_bomb() -> bytes:
    """What decodes to :data:`BOMB_BYTES` of a gzip member's file name, which decode to nothing."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    name = b"n" * (1 << 20)
    parts = [packer.compress(_NAMED), *[packer.compress(name) for _ in range(BOMB_BYTES >> 20)]]
    return b"".join([*parts, packer.flush()])


def _sent(coding: str, body: bytes) -> bytes:
    return answer(body, b"Content-Encoding: " + coding.encode())


def _with_window(log: int) -> bytes:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(_PAGE) + packer.flush()


def _with_long_name() -> bytes:
    """A gzip member whose file name (RFC 1952, 2.3) is 7 MiB long."""
    return _NAMED + b"n" * (7 << 20) + b"\0" + gzip.compress(_PAGE)[10:]


_BOMBS = tuple(
    Hazard(f"bomb-{name}", "too_large", lambda _, name=name: _sent(name, bomb(name)))  # type: ignore[misc]
    for name in ("gzip", "deflate", "br", "zstd")
)
_STACKED = (
    Hazard("bomb-in-bomb", "too_large", lambda _: _sent("gzip, gzip", gzip.compress(bomb("gzip")))),
    Hazard("bomb-br-in-zstd", "too_large", lambda _: _sent("br, zstd", zstd.compress(bomb("br")))),
    Hazard("bomb-between", "too_large", lambda _: _sent("gzip, gzip", _name_bomb())),
    Hazard("three-codings", "failed_decode", lambda _: _sent("gzip, gzip, gzip", b"x")),
    Hazard("many-codings", "failed_decode", lambda _: _sent(", ".join(["br"] * 1000), b"x")),
)
_CROWDS = (
    Hazard("many-gzip-members", "failed_decode", lambda _: _sent("gzip", gzip.compress(b"") * 400_000), "members"),
    Hazard("many-zstd-frames", "failed_decode", lambda _: _sent("zstd", zstd.compress(b"") * 800_000), "members"),
    Hazard("some-gzip-members", "ok", lambda _: _sent("gzip", gzip.compress(_PAGE) * 1000), links=1),
    Hazard("gzip-with-long-name", "ok", lambda _: _sent("gzip", _with_long_name()), links=1),
    Hazard("gzip-with-padding", "ok", lambda _: _sent("gzip", gzip.compress(_PAGE) + bytes(7 << 20)), links=1),
    Hazard("zstd-window-128-mib", "failed_decode", lambda _: _sent("zstd", _with_window(27))),
    Hazard("br-window-16-mib", "ok", lambda _: _sent("br", brotli.compress(_PAGE, lgwin=24)), links=1),
)
_BROKEN = (
    Hazard("gzip-cut-short", "failed_decode", always(_sent("gzip", gzip.compress(_PAGE)[:-9]))),
    Hazard("gzip-wrong-sum", "failed_decode", always(_sent("gzip", gzip.compress(_PAGE)[:-8] + bytes(8)))),
    Hazard("deflate-cut-short", "failed_decode", always(_sent("deflate", zlib.compress(_PAGE)[:-5]))),
    Hazard("br-cut-short", "failed_decode", always(_sent("br", brotli.compress(_PAGE)[:-1]))),
    Hazard("zstd-cut-short", "failed_decode", always(_sent("zstd", zstd.compress(_PAGE)[:-1]))),
    Hazard("coding-that-is-none", "failed_decode", always(_sent("br", _PAGE))),
    Hazard("coding-nobody-asked-for", "failed_decode", always(_sent("compress", _PAGE))),
)

HAZARDS = (*_BOMBS, *_STACKED, *_CROWDS, *_BROKEN)
