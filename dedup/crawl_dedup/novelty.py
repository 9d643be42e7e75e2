"""The promise about hosts that bring nothing new: endless URLs in front of the same few pages.

Of a host's latest pages it is remembered what each brought, by a hash, and whether that was new: whether no other page
among them had brought the same. When too few of so many were new the host is a trap, for good: whoever forgets the
crawl forgets that too. A page counts once, however often a crash or a lost answer brings it.

Two implementations keep this promise: :mod:`crawl_dedup.redis_novelty` (with ``novelty.lua``) and
:mod:`crawl_dedup.memory_novelty`. Both pass ``tests/contract/test_novelty_contract.py``.
"""

from hashlib import blake2b
from typing import Final, Protocol

from crawl_dedup.ledger import Fingerprint

#: Bytes of what is remembered of a page's identity and of its body, each. That two of a thousand bodies are taken for
#: the same happens once in ten thousand hosts, and then makes one page of a thousand count as nothing new.
HASH_BYTES: Final = 4
#: A host of which nothing was fetched for so long begins anew, so that hosts that are done with take no memory.
REMEMBERED_S: Final = 7 * 86_400


class Novelty(Protocol):
    """What the hosts of one crawl and group have brought."""

    async def saw(self, host: str, page: Fingerprint, body: bytes) -> bool:
        """Note what a page has brought.

        Args:
            host: the page's.
            page: its URL.
            body: decoded.

        Returns:
            Whether the host is a trap, by this page or since earlier.

        Raises:
            LedgerUnavailable: Redis is gone.
        """


def hashed(text: bytes) -> bytes:
    """What is remembered of a page's identity or body."""
    return blake2b(text, digest_size=HASH_BYTES).digest()
