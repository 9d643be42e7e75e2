"""Every key name in Redis, as pure functions.

All keys of one ledger begin with ``crawl:{<crawl>/<group>}:``. The braces are a hash tag: Redis Cluster keeps
the whole ledger on one node, where one function may change all of it
(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags). Behind the prefix:

========================  =========  =====================================================================
``meta``                  hash       hash key, canonicaliser and bucket bits that the crawl was begun with
``counts``                hash       the books: ``admitted``, ``open``, ``outcome:<name>``, ``duplicate`` …
``adm:<bucket>``          set        admitted and not done
``don:<bucket>``          set        done
``outs``                  zset       parents with an outbox, by the time of their commit (Redis' clock, ms)
``out:<fingerprint>``     hash       a parent's outbox: child → message, and ``_`` → the parent's outcome
``lease:<fingerprint>``   string     the consumer that works on this URL
``alive:<consumer>``      string     exists while the consumer lives
``again:<fingerprint>``   string     the dead letter that this URL was last reopened for
``tries``                 hash       open URL → the latest attempt that replaced an earlier one
``suspect:<fingerprint>`` string     how often it was tried alone since a consumer died with it in hand
``finale:<name>``         hash       who has claimed what follows the crawl's end, and at how many URLs it was done
``hosts``                 hash       host → its URLs that were admitted, where ``max_pages_per_host`` limits them
``novel:<host>``          string     what the latest pages of a host brought (see novelty.lua)
``traps``                 set        hosts that bring nothing new
========================  =========  =====================================================================

What sites say of themselves belongs to no crawl: ``crawl:robots:{<origin>}:file`` and ``…:lease``, strings
(see redis_robots.py).
What is known of a host is shared by all crawls: ``crawl:host:{<host>}``, a hash, and beside it three sorted sets,
``…:line``, ``…:row`` and ``…:flight``; see slots.lua.
"""

import re

from crawl_dedup.ledger import LedgerName

#: The meta keys of every ledger, as a pattern for SCAN.
META_PATTERN = "crawl:{*}:meta"
#: The keys that belong to no ledger: what sites say of themselves, and what is known of hosts.
SHARED_PATTERNS = ("crawl:robots:*", "crawl:host:*")

_META = re.compile(r"crawl:\{([^{}/]+)/([^{}/]+)\}:meta")
_UNSAFE = re.compile(r"[{}/\s]")
_GLOB = re.compile(r"([*?\[\]\\])")


def prefix(name: LedgerName) -> str:
    """What every key of this ledger begins with.

    Raises:
        ValueError: the crawl or the group has no name, or one with a brace, slash or blank in it.
    """
    for part in (name.crawl, name.group):
        if not part or _UNSAFE.search(part):
            raise ValueError(f"{part!r} cannot be part of a ledger's name: no braces, slashes or blanks")
    return f"crawl:{{{name}}}:"


def meta(name: LedgerName) -> str:
    """The hash of the rules that a ledger was begun with; it exists as long as the ledger does."""
    return prefix(name) + "meta"


def alive(name: LedgerName, consumer: str) -> str:
    """The key that exists while this consumer's heartbeat is fresh."""
    return f"{prefix(name)}alive:{consumer}"


def robots_file(origin: str) -> str:
    """What is known of this origin's robots.txt."""
    return f"crawl:robots:{{{origin}}}:file"


def robots_lease(origin: str) -> str:
    """The consumer that is asking this origin for its robots.txt."""
    return f"crawl:robots:{{{origin}}}:lease"


def host(name: str) -> str:
    """The key of a host's slots; every host is a hash tag of its own, so hosts spread over a Redis Cluster."""
    return f"crawl:host:{{{name}}}"


def pattern(name: LedgerName) -> str:
    """All keys of this ledger, as a pattern for SCAN."""
    return _GLOB.sub(r"\\\1", prefix(name)) + "*"


def ledger_of(meta_key: str) -> LedgerName | None:
    """The ledger that a meta key belongs to; None for a key of someone else's."""
    match = _META.fullmatch(meta_key)
    return LedgerName(match[1], match[2]) if match else None
