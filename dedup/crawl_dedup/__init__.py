"""What the crawl remembers: canonical URLs, fingerprints, the ledger and the slots of hosts.

In the order of reading: :mod:`.canonical`, :mod:`.fingerprint`, :mod:`.ledger` (the promise), then its two
implementations, :mod:`.redis_ledger` (with ``ledger.lua``) and :mod:`.memory_ledger`. Beside them, in the
same form, :mod:`.slots` with :mod:`.redis_slots` (``slots.lua``) and :mod:`.memory_slots`, and
:mod:`.robots_cache` with :mod:`.redis_robots` and :mod:`.memory_robots`, and :mod:`.novelty` with
:mod:`.redis_novelty` (``novelty.lua``) and :mod:`.memory_novelty`.
"""

from crawl_dedup.birth import born_ms
from crawl_dedup.canonical import CANONICALISER_VERSION, MAX_URL_CHARS, canonicalize, host, join, origin
from crawl_dedup.canonical_rules import NO_RULES, CanonicalRules
from crawl_dedup.errors import (
    CrawlError,
    CrawlMismatch,
    DedupError,
    LedgerForgot,
    LedgerRefused,
    LedgerUnavailable,
    UrlInvalid,
)
from crawl_dedup.fingerprint import Fingerprinter, bucket_bits_for, is_synthetic
from crawl_dedup.ledger import (
    ALIVE_TTL_S,
    HEARTBEAT_S,
    LEASE_HOLDS_S,
    Begun,
    Claim,
    Commit,
    Committed,
    EncodedMessage,
    Finale,
    Fingerprint,
    Ledger,
    LedgerName,
    Outbox,
    Progress,
    Standing,
    Verdict,
)
from crawl_dedup.memory_ledger import MemoryLedger
from crawl_dedup.memory_novelty import MemoryNovelty, MemoryNoveltyStore
from crawl_dedup.memory_robots import MemoryRobots, MemoryRobotsStore
from crawl_dedup.memory_slots import MemorySlots
from crawl_dedup.memory_store import MemoryLedgerStore
from crawl_dedup.novelty import Novelty
from crawl_dedup.redis_batch import BatchedRedis
from crawl_dedup.redis_debts import LedgerDebts, Members, count_members, read_debts
from crawl_dedup.redis_forget import forget
from crawl_dedup.redis_health import RedisHealth, read_health
from crawl_dedup.redis_ledger import RedisLedger, ledger_names, read_progress
from crawl_dedup.redis_novelty import RedisNovelty
from crawl_dedup.redis_open import open_plain_redis, open_redis
from crawl_dedup.redis_rights import RedisRights
from crawl_dedup.redis_robots import RedisRobots
from crawl_dedup.redis_slots import RedisSlots
from crawl_dedup.redis_where import redis_servers
from crawl_dedup.robots_cache import CachedRobots, RobotsCache, RobotsRecord
from crawl_dedup.session_ids import has_session_id
from crawl_dedup.shown import Secrets, escaped, redacted, shown
from crawl_dedup.slots import FLIGHT_MS, Asked, Go, Hold, Pace, Park, Reserved, Slots, Ticket

__all__ = [  # noqa: RUF022 - grouped by topic
    # URLs
    "CANONICALISER_VERSION",
    "MAX_URL_CHARS",
    "NO_RULES",
    "CanonicalRules",
    "canonicalize",
    "has_session_id",
    "host",
    "join",
    "origin",
    # fingerprints
    "Fingerprint",
    "Fingerprinter",
    "bucket_bits_for",
    "is_synthetic",
    # the ledger's promise
    "ALIVE_TTL_S",
    "HEARTBEAT_S",
    "LEASE_HOLDS_S",
    "Begun",
    "Claim",
    "Commit",
    "Committed",
    "EncodedMessage",
    "Finale",
    "Ledger",
    "LedgerName",
    "Outbox",
    "Progress",
    "Standing",
    "Verdict",
    "born_ms",
    # its implementations
    "MemoryLedger",
    "MemoryLedgerStore",
    "RedisLedger",
    # robots.txt
    "CachedRobots",
    "MemoryRobots",
    "MemoryRobotsStore",
    "RedisRobots",
    "RobotsCache",
    "RobotsRecord",
    # hosts that bring nothing new
    "MemoryNovelty",
    "MemoryNoveltyStore",
    "Novelty",
    "RedisNovelty",
    # the slots of hosts
    "FLIGHT_MS",
    "Asked",
    "Go",
    "Hold",
    "MemorySlots",
    "Pace",
    "Park",
    "RedisSlots",
    "Reserved",
    "Slots",
    "Ticket",
    # Redis
    "BatchedRedis",
    "LedgerDebts",
    "Members",
    "RedisHealth",
    "RedisRights",
    "count_members",
    "forget",
    "ledger_names",
    "open_plain_redis",
    "open_redis",
    "read_debts",
    "read_health",
    "read_progress",
    "redis_servers",
    # what people are shown
    "Secrets",
    "escaped",
    "redacted",
    "shown",
    # errors
    "CrawlError",
    "CrawlMismatch",
    "LedgerForgot",
    "DedupError",
    "LedgerRefused",
    "LedgerUnavailable",
    "UrlInvalid",
]
