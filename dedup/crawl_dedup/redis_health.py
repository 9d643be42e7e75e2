"""How Redis stands, as it tells itself: version, memory, persistence, replicas, clock and our functions.

Reads only, and from any Redis, also from one that :func:`crawl_dedup.open_redis` would refuse; behind Sentinels
from the master.
Source: https://redis.io/docs/latest/commands/info/.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from crawl_dedup import redis_failure
from crawl_dedup.redis_open import ask, function_libraries, parse_info
from crawl_dedup.redis_where import where

#: Seconds for all answers; a Redis that is slower is itself a finding.
ANSWERS_S = 10.0


@dataclass(frozen=True, slots=True)
class RedisHealth:
    """One Redis server at one moment; None where it does not say, or its ACL forbids to ask.

    Attributes:
        version: as it calls itself, ``7.0.15``.
        role: ``master`` or ``slave``.
        loading: whether it still reads its data.
        maxmemory_policy: what it does when it is full.
        maxmemory_bytes: 0: no limit.
        used_bytes: of memory.
        appendonly: whether it keeps an append-only file.
        appendfsync: ``always``, ``everysec`` or ``no``.
        snapshots: whether it saves by itself now and then (``save``).
        aof_write_ok, aof_rewrite_ok, snapshot_ok: how the last of each went.
        replicas: the seconds since each connected replica was last heard of.
        ahead_s: how far its clock is ahead of ours.
        libraries: ours: whether it has the code of this version, another, or none (``same | other | missing``).
    """

    version: str
    role: str = "master"
    loading: bool = False
    maxmemory_policy: str = "noeviction"
    maxmemory_bytes: int = 0
    used_bytes: int = 0
    appendonly: bool = True
    appendfsync: str | None = None
    snapshots: bool | None = None
    aof_write_ok: bool = True
    aof_rewrite_ok: bool = True
    snapshot_ok: bool = True
    replicas: tuple[int, ...] = ()
    ahead_s: float = 0.0
    libraries: Mapping[str, str] | None = None


async def read_health(url: str, *, name: str) -> RedisHealth:
    """Ask a Redis how it stands.

    Args:
        url: as for :func:`crawl_dedup.open_redis`.
        name: how this program is to appear in CLIENT LIST.

    Raises:
        LedgerUnavailable: it does not answer.
        LedgerRefused: it denies the login, or the URL cannot be read.
    """
    place = where(url, name=name)
    try:
        async with asyncio.timeout(ANSWERS_S):
            connection = await place.connect()
            try:
                return await _asked(connection)
            finally:
                await connection.disconnect(nowait=True)
    except (*redis_failure.FAILURES, TimeoutError) as error:
        raise redis_failure.ours(error, place.address) from error


async def _asked(connection: AbstractConnection) -> RedisHealth:
    return _health(
        parse_info(await ask(connection, "INFO")),
        appendfsync=await _setting(connection, "appendfsync"),
        save=await _setting(connection, "save"),
        ahead_s=await _ahead_s(connection),
        libraries=await _libraries(connection),
    )


def _health(info: Mapping[str, str], *, appendfsync: str | None, save: str | None, **more: Any) -> RedisHealth:
    replicas = [dict(part.split("=", 1) for part in v.split(",")) for k, v in info.items() if _is_replica(k)]
    return RedisHealth(
        version=info.get("redis_version", "unknown"),
        role=info.get("role", "master"),
        loading=info.get("loading") == "1",
        maxmemory_policy=info.get("maxmemory_policy", "noeviction"),
        maxmemory_bytes=int(info.get("maxmemory", 0)),
        used_bytes=int(info.get("used_memory", 0)),
        appendonly=info.get("aof_enabled") == "1",
        appendfsync=appendfsync,
        snapshots=None if save is None else bool(save),
        aof_write_ok=info.get("aof_last_write_status", "ok") == "ok",
        aof_rewrite_ok=info.get("aof_last_bgrewrite_status", "ok") == "ok",
        snapshot_ok=info.get("rdb_last_bgsave_status", "ok") == "ok",
        replicas=tuple(int(replica.get("lag", 0)) for replica in replicas),
        **more,
    )


def _is_replica(field: str) -> bool:
    return field.startswith("slave") and field.removeprefix("slave").isdigit()


async def _setting(connection: AbstractConnection, name: str) -> str | None:
    """One setting; None where CONFIG is forbidden or renamed, as hosted servers do."""
    try:
        found = await ask(connection, "CONFIG", "GET", name)
    except redis_errors.ResponseError:
        return None
    return found[1].decode() if found else None


async def _ahead_s(connection: AbstractConnection) -> float:
    """Measured against the middle of the round trip."""
    before_s = time.time()
    seconds, micros = await ask(connection, "TIME")
    return int(seconds) + int(micros) / 1e6 - (before_s + time.time()) / 2


async def _libraries(connection: AbstractConnection) -> Mapping[str, str] | None:
    found = {}
    for name, code in function_libraries().items():
        try:
            present = await ask(connection, "FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")
        except redis_errors.ResponseError:
            return None  # before version 7, which is a finding of its own, or forbidden
        found[name] = "missing" if not present else "same" if code.encode() in present[0] else "other"
    return found
