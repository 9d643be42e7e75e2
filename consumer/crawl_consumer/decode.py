"""The content codings of a body, undone within a limit (RFC 9110, section 8.4).

HTTP libraries hand out what they could decode of a compressed body that was cut short, as if it were whole;
its links would be lost without a trace. Here a coding must come to its end, or the body counts as broken.
"""

import zlib

#: What we ask for. Servers need not heed it, but whoever sends br or zstd to us was not asked to.
ACCEPT_ENCODING = "gzip, deflate"
#: Codings one over the other; honest servers use one. Each costs a pass over the body.
MAX_CODINGS = 2
#: gzip files may be several in a row (RFC 1952, 2.2). Each costs a copy of all that follow it.
MAX_MEMBERS = 64

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_UNDERSTOOD = frozenset({"gzip", "x-gzip", "deflate"})
_NOT_UNDERSTOOD = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})


def decode(wire: bytes, content_encoding: str, *, limit_bytes: int) -> bytes:
    """The body behind its codings.

    Names that are no coding at all (``identity``, ``utf-8``, ``none``) are passed over, as browsers do.

    Args:
        wire: the body as it came.
        content_encoding: the field's value, codings in the order in which they were applied.
        limit_bytes: decoding stops one byte above it, so a result longer than the limit is not complete.

    Raises:
        ValueError: damaged, cut short, or a coding that was not asked for; the message is the reason.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    if refused := _NOT_UNDERSTOOD.intersection(names):
        raise ValueError(f"content coding {min(refused)} was not asked for")
    codings = [name for name in names if name in _UNDERSTOOD]
    if len(codings) > MAX_CODINGS:
        raise ValueError(f"{len(codings)} content codings, at most {MAX_CODINGS} are undone")
    for coding in reversed(codings):
        if wire:
            wire = _inflate(wire, coding, limit_bytes + 1)
    return wire


def _inflate(data: bytes, coding: str, at_most: int) -> bytes:
    wbits = _deflate_wbits(data) if coding == "deflate" else _GZIP_WBITS
    parts: list[bytes] = []
    try:
        for _ in range(MAX_MEMBERS):
            stream = zlib.decompressobj(wbits)
            parts.append(stream.decompress(data, at_most))
            at_most -= len(parts[-1])
            if at_most == 0:
                return b"".join(parts)
            if not stream.eof:
                raise ValueError(f"{coding} cut short")
            data = stream.unused_data
            if not data.startswith(_GZIP_MAGIC) or coding == "deflate":  # padding behind the end is common
                return b"".join(parts)
    except zlib.error as error:
        raise ValueError(f"{coding} damaged: {error}") from None
    raise ValueError(f"more than {MAX_MEMBERS} gzip members")


def _deflate_wbits(data: bytes) -> int:
    """``deflate`` means a zlib stream, but some servers send a bare one (RFC 9110, 8.4.1.2)."""
    zlib_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS
