"""The rules a crawl was begun under: its hash key, its canonicaliser and its number of buckets.

Whoever is first pins them in the ledger; whoever comes later takes them from there. A consumer that would
give URLs other fingerprints must not join: to it, every URL of the crawl would be new.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

from crawl_dedup import birth
from crawl_dedup.errors import CrawlMismatch
from crawl_dedup.fingerprint import KEY_BYTES, bucket_bits_for
from crawl_dedup.ledger import LedgerName


@dataclass(frozen=True, slots=True)
class Pin:
    """What all consumers of one ledger agree on.

    Attributes:
        canonicaliser: version of the rules by which URLs are made canonical
            (:attr:`crawl_dedup.canonical_rules.CanonicalRules.version`).
        bucket_bits: the ledger spreads its URLs over 2^bucket_bits sets.
        hash_key: the fingerprints' secret.
        born: tells this memory of the crawl from the one before it was forgotten (see crawl_dedup.birth).
    """

    canonicaliser: str
    bucket_bits: int
    hash_key: bytes
    born: str

    def encode(self) -> tuple[str, int, str, str]:
        """As Redis keeps it: the version, the bits, the key in hex, the mark of birth."""
        return self.canonicaliser, self.bucket_bits, self.hash_key.hex(), self.born

    def reborn(self) -> Self:
        """The same rules for a new memory."""
        return replace(self, born=birth.mark())

    @classmethod
    def decode(cls, fields: Sequence[bytes]) -> Self:
        """What Redis kept."""
        canonicaliser, bucket_bits, hash_key, born = fields
        return cls(canonicaliser.decode(), int(bucket_bits), bytes.fromhex(hash_key.decode()), born.decode())

    def __repr__(self) -> str:
        key = key_id(self.hash_key)
        return f"Pin(canonicaliser={self.canonicaliser}, bucket_bits={self.bucket_bits}, hash key {key})"


def wanted(*, expected_urls: int, canonicaliser: str, hash_key: bytes | None) -> Pin:
    """The rules for a crawl that begins now; without a configured key it gets a random one."""
    key = hash_key or secrets.token_bytes(KEY_BYTES)
    return Pin(canonicaliser, bucket_bits_for(expected_urls), key, birth.mark())


def agree(name: LedgerName, pinned: Pin, *, canonicaliser: str, hash_key: bytes | None) -> Pin:
    """The pinned rules, if we can keep them. The number of buckets is no obstacle: the pinned one holds.

    Raises:
        CrawlMismatch: another canonicaliser, or another key than the configured one.
    """
    if pinned.canonicaliser != canonicaliser:
        raise CrawlMismatch(
            f"crawl {name} was begun with canonicaliser {pinned.canonicaliser}, not {canonicaliser}",
            remedy="join with the version, and with the canonical: rules of exchanges.yaml, that began it, "
            f"or begin anew: crawl-forget {name.crawl}",
        )
    if hash_key is not None and hash_key != pinned.hash_key:
        raise CrawlMismatch(
            f"crawl {name} was begun with hash key {key_id(pinned.hash_key)}, not {key_id(hash_key)}",
            remedy=f"configure the key that began it (or none), or begin anew: crawl-forget {name.crawl}",
        )
    return pinned


def key_id(hash_key: bytes) -> str:
    """Eight hex digits to tell keys apart by; the key itself is a secret, and stays out of logs."""
    return blake2b(hash_key, digest_size=4).hexdigest()
