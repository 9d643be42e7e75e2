"""What an answer to a request for robots.txt allows: bytes and status in, rules out (RFC 9309).

Pattern matching is protego's; which octets and which lines it gets to see is decided here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from protego import Protego

from crawl_consumer import robots_lines
from crawl_dedup.canonical import canonicalize, origin
from crawl_dedup.errors import UrlInvalid
from crawl_dedup.robots_cache import MAX_FRESH_S

#: Bytes of a file that are read, the least that RFC 9309 (2.5) lets a crawler read.
PARSE_LIMIT_BYTES = 500 * 1024
#: An answer is believed for a day, or as short as its max-age says, but not shorter than this: origins would be
#: asked over and over.
FRESH_AT_LEAST_S = 300.0

_BOM = b"\xef\xbb\xbf"
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})', re.IGNORECASE)
_UNCACHEABLE = re.compile(r"(?:^|[\s,])(?:no-store|no-cache)", re.IGNORECASE)
_PRODUCT_TOKEN = re.compile(r"[A-Za-z_-]*")
#: Octets that are themselves, percent-encoded or not (RFC 3986, 2.3).
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
#: All others, and octets that are percent-encoded. A ``/`` stands for itself, but ``%2F`` separates nothing.
_OTHERS = re.compile(r"%([0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~/]")
_OTHERS_OF_PATTERN = re.compile(r"%([0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~/*]")


class Meaning(Enum):
    """What a status says of the file (RFC 9309, 2.3.1)."""

    RULES = "rules"  #: there is one: read it
    NO_FILE = "no_file"  #: there is none, so all is allowed
    NOT_NOW = "not_now"  #: nobody knows, so nothing is allowed for now


def meaning(status: int) -> Meaning:
    """What the final status of a request means; redirects are followed before.

    429 is no "there is none" but a plea to stay away, and counts as an error of the server.
    """
    if 200 <= status < 300:
        return Meaning.RULES
    return Meaning.NOT_NOW if status == 429 or status >= 500 else Meaning.NO_FILE


def fresh_s(headers: Mapping[str, str]) -> float:
    """For how many seconds an answer may be believed: its max-age, within our bounds."""
    cache_control = headers.get("cache-control", "")
    if _UNCACHEABLE.search(cache_control):
        return FRESH_AT_LEAST_S
    max_age = _MAX_AGE.search(cache_control)
    return min(max(float(max_age[1]), FRESH_AT_LEAST_S), MAX_FRESH_S) if max_age else MAX_FRESH_S


def within_limit(body: bytes) -> bytes:
    """The part of a file that is read: its first 500 KiB, without the line that is cut there."""
    if len(body) <= PARSE_LIMIT_BYTES:
        return body
    last_end = max(body.rfind(end, 0, PARSE_LIMIT_BYTES) for end in (b"\n", b"\r"))
    return body[: last_end + 1]


def product_token(user_agent: str) -> str:
    """The name by which robots.txt files know a User-Agent: its leading letters, ``-`` and ``_``."""
    token = _PRODUCT_TOKEN.match(user_agent)
    return token[0] if token else ""


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """What one origin asks of one crawler.

    Attributes:
        crawl_delay_s: seconds between two requests; 0: it does not say.
        sitemaps: canonical URLs, anywhere on the web.
        size_chars: of what was read; the memory that the rules take grows with it.
    """

    crawl_delay_s: float = 0.0
    sitemaps: tuple[str, ...] = ()
    size_chars: int = 0
    _patterns: Protego | None = None

    def allowed(self, url: str) -> bool:
        """Whether a canonical URL of this origin may be fetched."""
        if self._patterns is None:
            return True
        return self._patterns.can_fetch("http://host" + _spelled(url[len(origin(url)) :], _OTHERS), "any")


#: Where there is no file.
ALLOW_ALL = RobotsRules()


def parse(body: bytes, token: str) -> RobotsRules:
    """The rules of a file for the crawler that goes by ``token``. Whatever the bytes are, nothing raises."""
    text = within_limit(body).removeprefix(_BOM).decode("latin-1")
    lines = robots_lines.read(text, token)
    rules = "\n".join([f"{what.value}: {_spelled_pattern(pattern)}" for what, pattern in lines.group.rules])
    return RobotsRules(
        crawl_delay_s=lines.group.crawl_delay_s,
        sitemaps=(sitemaps := tuple(_canonical(lines.sitemaps))),
        size_chars=len(rules) + sum(map(len, sitemaps)),
        _patterns=Protego.parse(f"user-agent: *\n{rules}") if rules else None,
    )


def _spelled_pattern(pattern: str) -> str:
    """A path pattern; ``*`` and a ``$`` at its end keep their meaning."""
    if pattern.endswith("$"):
        return _spelled(pattern[:-1], _OTHERS_OF_PATTERN) + "$"
    return _spelled(pattern, _OTHERS_OF_PATTERN)


def _spelled(path: str, others: re.Pattern[str]) -> str:
    """Octets so that protego compares them one by one: what RFC 3986 does not reserve as itself, all else as ``=2F``.

    Percent-encoded ASCII that need not be is decoded, and what must be is encoded (RFC 9309, 2.2.2). Given percent
    signs protego would take all octets that are not UTF-8 for the same, and ``/a$`` for ``/a%24`` as well.
    """
    return others.sub(_octet, path)


def _octet(match: re.Match[str]) -> str:
    encoded = match[1]
    octet = int(encoded, 16) if encoded else ord(match[0])
    return chr(octet) if octet in _UNRESERVED else f"={octet:02X}"


def _canonical(sitemaps: Iterable[str]) -> Iterator[str]:
    for sitemap in sitemaps:
        with suppress(UrlInvalid):
            yield canonicalize(sitemap.encode("latin-1").decode("utf-8", "replace"))
