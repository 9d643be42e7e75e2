"""What the header fields of a response mean: cleaned of what cannot be stored, repetitions joined, types read."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote_from_bytes

#: Fields that are no lists and that we act on; of all others, repetitions are joined (RFC 9110, 5.3).
_SINGLE = frozenset({"content-type", "location", "retry-after"})
#: Media types that say nothing (https://mimesniff.spec.whatwg.org/#determining-the-computed-mime-type-of-a-resource).
_MEANINGLESS = frozenset({"unknown/unknown", "application/unknown", "*/*"})
#: Lists whose first word may name whom the whole field is meant for: repetitions are kept apart, one a line.
_LINES = frozenset({"x-robots-tag"})
_PARSABLE = frozenset({"application/xhtml+xml", "application/xml", "application/json"})
_CHARSET = re.compile(r""";[ \t]*charset[ \t]*=[ \t]*["']?([^"'; \t]+)""", re.IGNORECASE)


def cleaned(sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Field values by lower-case name, in characters that can be stored.

    Args:
        sent: names and values in the order in which they came, bytes that are not UTF-8 as lone surrogates.
    """
    fields: dict[str, str] = {}
    for name, value in sent:
        key = name.lower()
        if not value.isascii():
            value = _clean(key, value)  # noqa: PLW2901 - the same value, in characters that can be stored
        if key not in fields:
            fields[key] = value
        elif key not in _SINGLE:
            fields[key] += ("\n" if key in _LINES else ", ") + value
    return fields


def _clean(name: str, value: str) -> str:
    """A value without lone surrogates (they stand for bytes that are not UTF-8); a Location keeps its bytes."""
    raw = value.encode("utf-8", "surrogateescape")
    if name == "location":
        return quote_from_bytes(raw, safe=bytes(range(0x21, 0x7F)))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@lru_cache(maxsize=1024)
def media_type(field_value: str) -> tuple[str, str | None]:
    """Type and charset of a Content-Type: the type in lower case, empty where there is no meaningful one."""
    name = field_value.partition(";")[0].strip().lower()
    charset = _CHARSET.search(field_value)
    if "/" not in name or name in _MEANINGLESS:
        name = ""
    return name, charset[1] if charset else None


def is_parsable(name: str) -> bool:
    """Whether a body of this media type holds text. One without a type may well be a page."""
    return not name or name.startswith("text/") or name in _PARSABLE or name.endswith(("+xml", "+json"))
