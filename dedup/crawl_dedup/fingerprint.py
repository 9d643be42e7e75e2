"""Fingerprints: a URL's identity in 64 stored bits, and a bucket from bits that are not stored.

Redis keeps a set of integers as a sorted array of 8 bytes a member while it holds at most
``set-max-intset-entries`` (512) of them, so the ledger spreads its URLs over many small sets. The bucket
number comes from other bits of the hash than the member, so both together identify the URL: with 2^12 buckets
76 bits, at which any two of a million URLs collide with probability 1e-11.

The hash is keyed: without the crawl's key nobody can craft a URL that takes another one's place.
"""

import struct
from hashlib import blake2b
from typing import Final

from crawl_dedup.ledger import Fingerprint

#: Members that a bucket may have on average at the declared size. A bucket's size is Poisson distributed
#: (balls in bins): at mean 350 the chance of more than 512 is 2e-16, at 400 it is 3e-8, at 437 it is 2e-4. So
#: no bucket outgrows its array, and a crawl may exceed its declared size by a quarter before many of them do;
#: those turn into hash tables: larger, never wrong. Fewer members would pay for more keys, 100 bytes each.
MEAN_BUCKET_MEMBERS: Final = 350
#: Bytes of a hash key: 128 bits, like the digest.
KEY_BYTES: Final = 16

_DIGEST_BYTES = 16
_MEMBER_AND_BUCKET = struct.Struct(">qQ")
_SYNTHETIC = "s."


def bucket_bits_for(expected_urls: int) -> int:
    """The smallest k for which 2^k buckets hold ``expected_urls`` with at most MEAN_BUCKET_MEMBERS each."""
    buckets = -(-expected_urls // MEAN_BUCKET_MEMBERS)
    return max(0, buckets - 1).bit_length()


def is_synthetic(fingerprint: Fingerprint) -> bool:
    """Whether this is a seed batch's parent, which is no URL."""
    return fingerprint.startswith(_SYNTHETIC)


class Fingerprinter:
    """The identity of canonical URLs under one crawl's key; call it with a URL.

    Args:
        key: the crawl's secret, 1 to 64 bytes.
        bucket_bits: there are 2^bucket_bits buckets.
    """

    __slots__ = ("_keyed", "_unused_bits")

    def __init__(self, key: bytes, bucket_bits: int) -> None:
        if not 1 <= len(key) <= blake2b.MAX_KEY_SIZE:
            raise ValueError(f"a hash key has 1 to {blake2b.MAX_KEY_SIZE} bytes, not {len(key)}")
        self._keyed = blake2b(digest_size=_DIGEST_BYTES, key=key)  # copied: the key is a block of its own to hash
        self._unused_bits = 64 - bucket_bits

    def __call__(self, canonical_url: str) -> Fingerprint:
        """``<bucket in hex>.<signed 64-bit integer>``."""
        keyed = self._keyed.copy()
        keyed.update(canonical_url.encode())
        member, bits = _MEMBER_AND_BUCKET.unpack(keyed.digest())
        return Fingerprint(f"{bits >> self._unused_bits:x}.{member}")

    def seed_parent(self, batch: bytes) -> Fingerprint:
        """The synthetic parent of a seed batch: the same bytes always give the same parent."""
        keyed = self._keyed.copy()
        keyed.update(batch)
        return Fingerprint(_SYNTHETIC + keyed.hexdigest())
