"""The promise of a shared memory of robots.txt files: one consumer asks an origin, all others read what it said.

An origin is the beginning of a canonical URL: scheme, host and port. Two implementations keep this promise:
:mod:`crawl_dedup.redis_robots` and :mod:`crawl_dedup.memory_robots`; both pass
``tests/contract/test_robots_cache_contract.py``.
"""

import json
import zlib
from dataclasses import dataclass
from typing import Protocol, Self

#: The form in which records are kept. A record of another form counts as absent: the file is fetched again.
RECORD_VERSION = 1
#: A file is believed for at most this long (RFC 9309, 2.4), whatever a cache says.
MAX_FRESH_S = 24 * 3600.0
#: How long a failure is remembered after it is time to try again: above any wait for the next URL of that origin,
#: or its waits would not grow.
HISTORY_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RobotsRecord:
    """What is known of one origin's robots.txt.

    Attributes:
        body: the file's bytes, empty where there is none; None: nobody could tell, nothing may be fetched.
        reason: how that came, for operators: ``http_200``, ``http_404``, ``timeout: …``.
        failures: attempts in a row that brought no answer.
        failing_since_s: Unix time of the first of these, seconds; 0 without any.
    """

    body: bytes | None
    reason: str = ""
    failures: int = 0
    failing_since_s: float = 0.0

    def encode(self) -> bytes:
        """One line of JSON to be read by people, then the body, compressed: most caches are full of small files."""
        about = {
            "v": RECORD_VERSION,
            "reason": self.reason,
            "failures": self.failures,
            "failing_since_s": self.failing_since_s,
            "body": self.body is not None,
        }
        return json.dumps(about).encode() + b"\n" + (zlib.compress(self.body) if self.body is not None else b"")

    @classmethod
    def decode(cls, encoded: bytes) -> Self | None:
        """The record of these bytes; None for another version's, or no record at all."""
        head, _, packed = encoded.partition(b"\n")
        try:
            about = json.loads(head)
            if about["v"] != RECORD_VERSION:
                return None
            body = zlib.decompress(packed) if about["body"] else None
            return cls(body, about["reason"], about["failures"], about["failing_since_s"])
        except (ValueError, KeyError, TypeError, zlib.error):
            return None


@dataclass(frozen=True, slots=True)
class CachedRobots:
    """A record and for how many seconds more it holds; at 0 only its history of failures is of use."""

    record: RobotsRecord
    fresh_s: float


class RobotsCache(Protocol):
    """The memory as one consumer sees it. Every method may raise LedgerUnavailable."""

    async def read(self, origin: str) -> CachedRobots | None:
        """What is known of ``origin``, perhaps no longer fresh."""

    async def lease(self, origin: str, *, lease_s: float) -> bool:
        """Whether this consumer may now ask ``origin``: nobody else is, until ``lease_s`` have passed.

        After True, read again: another consumer may have finished just before.
        """

    async def keep(self, origin: str, record: RobotsRecord, *, fresh_s: float) -> None:
        """Let everyone read ``record``, as fresh for ``fresh_s`` seconds (at most MAX_FRESH_S)."""

    async def release(self, origin: str) -> None:
        """Drop my lease, after :meth:`keep` or instead of it."""


def kept_s(record: RobotsRecord, fresh_s: float) -> float:
    """How long a record is kept in all: a failure's history outlives its freshness."""
    return min(fresh_s, MAX_FRESH_S) + (HISTORY_S if record.failures else 0)


def fresh_s(record: RobotsRecord, left_s: float) -> float:
    """How long a record that is kept for ``left_s`` more is still fresh."""
    return min(max(left_s - (HISTORY_S if record.failures else 0), 0.0), MAX_FRESH_S)
