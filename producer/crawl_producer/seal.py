"""The seal on URL messages: proof that whoever wrote one has the crawl's key, for brokers that others write to as well.

An HMAC-SHA256 (RFC 2104) over the body, the crawl's name in it, travels in a header. It says who wrote a message, not
when: whoever can read a queue can publish a message of it again, and read it.
"""

import hmac
import re
from collections.abc import Iterable, Mapping

#: The header; hexadecimal.
HEADER = "crawl-mac"
#: Nothing else that is ever signed with the same key begins so.
_PURPOSE = b"crawlmq URL message\n"
_MAC = re.compile(r"[0-9a-f]{64}")


class Seal:
    """The keys of the crawls of one exchanges.yaml.

    Args:
        keys: the first one seals; all of them are believed, so that a key can be replaced while a crawl runs.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)

    def __repr__(self) -> str:
        return f"<Seal with {len(self._keys)} keys>"

    def of(self, body: bytes) -> str:
        """The value of the header for this body."""
        return _mac(self._keys[0], body)

    def doubt(self, headers: Mapping[str, object], body: bytes) -> str:
        """Why a message with these headers may be somebody else's; empty: it is ours."""
        mac = headers.get(HEADER)
        if not isinstance(mac, str) or not mac.isascii():
            return "it has no seal"
        if not any(hmac.compare_digest(mac, _mac(key, body)) for key in self._keys):
            return "its seal is of no key of ours"
        return ""


def carried(headers: Mapping[str, object]) -> dict[str, str]:
    """The seal of a message that is kept byte for byte, for somebody who has its key; nothing else of its headers."""
    mac = headers.get(HEADER)
    return {HEADER: mac} if isinstance(mac, str) and _MAC.fullmatch(mac) else {}


def _mac(key: bytes, body: bytes) -> str:
    return hmac.digest(key, _PURPOSE + body, "sha256").hex()
