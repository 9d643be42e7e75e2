"""Redis: may a ledger be trusted to it, what would a crash cost, and how near is it to being full?"""

from collections.abc import Iterator

from crawl_dedup import RedisHealth
from crawl_producer.doctor.finding import Finding, Level

SUBJECT = "redis"
#: The oldest with function libraries; open_redis refuses what is older.
OLDEST_MAJOR = 7
#: Share of maxmemory from which on somebody should look: what is left holds a few hours of a fast crawl.
NEARLY_FULL = 0.8
#: Seconds between two clocks. Messages say in Unix time when they may be fetched; hosts wait that much longer or less.
CLOCK_TOLERANCE_S = 2.0
#: Seconds since a replica was heard of; it answers once a second.
REPLICA_LAG_S = 10


def check(redis: RedisHealth) -> list[Finding]:
    """What is wrong with this Redis; a line that sums it up comes first."""
    found = [*_use(redis), *_memory(redis), *_persistence(redis), *_replicas(redis), *_clock(redis)]
    return [_summary(redis), *found]


def _summary(redis: RedisHealth) -> Finding:
    kept = f"append-only file, fsync {redis.appendfsync or 'unknown'}" if redis.appendonly else "no append-only file"
    costs = {
        "always": "a crash costs nothing",
        "everysec": "a crash of the machine may cost the last second: pages are fetched again, "
        "and what had ended in it counts as open until --repair",
    }
    cost = f"; {costs[redis.appendfsync]}" if redis.appendonly and redis.appendfsync in costs else ""
    memory = f"{redis.used_bytes / 2**20:,.0f} MiB"
    return Finding(Level.OK, SUBJECT, f"version {redis.version}, {redis.role}, {memory} in use, {kept}{cost}")


def _use(redis: RedisHealth) -> Iterator[Finding]:
    major = redis.version.split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_MAJOR:
        yield _error(f"version {redis.version} has no function libraries", f"install Redis {OLDEST_MAJOR} or later")
    if redis.loading:
        yield _warning("it still reads its data", "wait")
    if redis.role != "master":
        yield _error("this is a replica: it takes no writes", "let CRAWL_REDIS_URL name the master")
    if redis.maxmemory_policy != "noeviction":
        yield _error(
            f"maxmemory-policy is {redis.maxmemory_policy}: when it is full it forgets URLs",
            "evict nothing; also in redis.conf",
            "redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    for library, state in (redis.libraries or {}).items():
        if state == "other":
            yield _warning(
                f"the functions of {library} are those of another version of CrawlMQ",
                "run one version everywhere; each loads its own functions as it starts",
            )


def _memory(redis: RedisHealth) -> Iterator[Finding]:
    if redis.maxmemory_bytes and redis.used_bytes >= NEARLY_FULL * redis.maxmemory_bytes:
        share = redis.used_bytes / redis.maxmemory_bytes
        full = share >= 1
        yield Finding(
            Level.ERROR if full else Level.WARNING,
            SUBJECT,
            f"{share:.0%} of maxmemory is in use{': nothing new is admitted' if full else ''}",
            "raise maxmemory, or forget an old crawl: crawl-forget",
            f"redis-cli CONFIG SET maxmemory {2 * redis.maxmemory_bytes}",
        )


def _persistence(redis: RedisHealth) -> Iterator[Finding]:
    if not redis.appendonly:
        lost = "what came since the last snapshot" if redis.snapshots else "everything"
        yield _warning(
            f"without an append-only file a restart loses {lost}",
            "keep one; also in redis.conf",
            "redis-cli CONFIG SET appendonly yes",
        )
    elif redis.appendfsync == "no":
        yield _warning(
            "appendfsync is no: a crash of the machine may lose half a minute",
            "write it down every second",
            "redis-cli CONFIG SET appendfsync everysec",
        )
    if not redis.aof_write_ok:
        yield _error("the last write of the append-only file failed: Redis refuses writes", "make room on its disk")
    if not redis.aof_rewrite_ok:
        yield _error(
            "the last rewrite of the append-only file failed, so it grows",
            "make room on its disk, see its log, and rewrite it",
            "redis-cli BGREWRITEAOF",
        )
    if not redis.snapshot_ok:
        yield _error(
            "the last snapshot failed; with stop-writes-on-bgsave-error Redis refuses writes",
            "make room on its disk, see its log, and save",
            "redis-cli BGSAVE",
        )


def _replicas(redis: RedisHealth) -> Iterator[Finding]:
    late = [lag_s for lag_s in redis.replicas if lag_s > REPLICA_LAG_S]
    if late:
        yield _warning(
            f"{len(late)} of {len(redis.replicas)} replicas were last heard of {max(late)} s ago",
            "a replica that is promoted now has lost as much; see its log",
        )


def _clock(redis: RedisHealth) -> Iterator[Finding]:
    if abs(redis.ahead_s) > CLOCK_TOLERANCE_S:
        way = "ahead of" if redis.ahead_s > 0 else "behind"
        yield _warning(
            f"its clock is {abs(redis.ahead_s):,.1f} s {way} this machine's: delayed URLs come early or late",
            "let both keep time by NTP",
            "timedatectl timesync-status",
        )


def _error(text: str, remedy: str, command: str = "") -> Finding:
    return Finding(Level.ERROR, SUBJECT, text, remedy, command)


def _warning(text: str, remedy: str, command: str = "") -> Finding:
    return Finding(Level.WARNING, SUBJECT, text, remedy, command)
