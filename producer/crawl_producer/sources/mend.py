"""XML as people write it, on its way to a parser: ampersands that stand for themselves, and UTF-16.

``<loc>https://example.org/?a=1&b=2</loc>`` is no XML, and common. A parser that goes on after the fault leaves
something out of the URL. And an entity that nobody has declared cannot be expanded, so no document can blow up.
"""

import codecs
import re
from collections.abc import Iterator

_BARE = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});)")
_CDATA, _CDATA_END = b"<![CDATA[", b"]]>"
#: Bytes at the end of a chunk that may be the beginning of a reference or of a CDATA section.
_HELD_BYTES = 12
#: What UTF-16 begins with.
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def mended(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks with each ``&`` that begins no reference written ``&amp;``, except in CDATA sections."""
    held, in_cdata = b"", False
    for chunk in chunks:
        data = held + chunk
        out: list[bytes] = []
        place = 0
        while (found := data.find(_CDATA_END if in_cdata else _CDATA, place)) >= 0:
            stretch = data[place:found]
            out.append(stretch if in_cdata else _BARE.sub(b"&amp;", stretch))
            place, in_cdata = found, not in_cdata
        cut = max(place, len(data) - _HELD_BYTES)
        # What is held must not begin within a reference, whose other half would look bare.
        if not in_cdata and (ampersand := data.rfind(b"&", max(place, cut - _HELD_BYTES), cut)) >= 0:
            cut = ampersand
        stretch, held = data[place:cut], data[cut:]
        out.append(stretch if in_cdata else _BARE.sub(b"&amp;", stretch))
        yield b"".join(out)
    yield held if in_cdata else _BARE.sub(b"&amp;", held)


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """UTF-16 that begins with its mark, as UTF-8 without one."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
