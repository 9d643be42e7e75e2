"""Opening Redis: connect, see that it may be trusted with a ledger, and give it our functions.

That is done for every connection, because behind a new one may be another server: a replica that was promoted,
or one that was started again with another configuration.
"""

import logging
from functools import cache
from importlib import resources
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from crawl_dedup.errors import LedgerRefused
from crawl_dedup.redis_batch import PATIENCE_S, BatchedRedis
from crawl_dedup.redis_where import Where, where

log = logging.getLogger(__name__)

#: Function libraries came with Redis 7 (https://redis.io/docs/latest/develop/programmability/functions-intro/).
OLDEST_MAJOR_VERSION = 7
#: Seconds for which opening tries again: enough for a Redis that is just starting, bearable for a person.
OPENING_PATIENCE_S = 5.0

_LIBRARIES = ("ledger.lua", "slots.lua", "items.lua", "novelty.lua")
#: Names of all of them. They are asked for together: each answer more on the way to a connection is one more to lose.
_OURS = "crawl_*"


async def open_redis(url: str, *, name: str, patience_s: float = PATIENCE_S) -> BatchedRedis:
    """Connect to Redis and see that it can keep a ledger; the answer is a context manager that closes it.

    Args:
        url: see :func:`crawl_dedup.redis_where.where`.
        name: how this program is to appear in CLIENT LIST.
        patience_s: how long calls that fail for want of a connection are tried again.

    Raises:
        LedgerUnavailable: it does not answer; the message names host and port.
        LedgerRefused: it denies the login, is older than 7, or would evict keys.
    """
    place = where(url, name=name)

    async def connect() -> AbstractConnection:
        return await _sound(place)

    libraries = [_code(library) for library in _LIBRARIES]
    return await _opened(BatchedRedis(connect, address=place.address, libraries=libraries), patience_s)


async def open_plain_redis(url: str, *, name: str, patience_s: float = PATIENCE_S) -> BatchedRedis:
    """Connect to a Redis of somebody else's, which keeps no ledger: of any version, and left without our functions.

    Arguments and errors as for :func:`open_redis`.
    """
    place = where(url, name=name)
    return await _opened(BatchedRedis(place.connect, address=place.address), patience_s)


async def _opened(redis: BatchedRedis, patience_s: float) -> BatchedRedis:
    redis.patience_s = min(patience_s, OPENING_PATIENCE_S)
    try:
        await redis.call("PING")
    except BaseException:
        await redis.aclose()
        raise
    redis.patience_s = patience_s
    return redis


async def _sound(place: Where) -> AbstractConnection:
    """A connection to a server that is fit for a ledger and has our functions."""
    connection = await place.connect()
    try:
        _check(parse_info(await ask(connection, "INFO")), place.address)
        await _load(connection, place.address)
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def ask(connection: AbstractConnection, *words: str) -> Any:
    """The answer to one command, as it came. Raises redis-py's errors."""
    await connection.send_command(*words, check_health=False)
    return await connection.read_response()


def _check(info: dict[str, str], address: str) -> None:
    version = info.get("redis_version", "unknown")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < OLDEST_MAJOR_VERSION:
        raise LedgerRefused(
            f"Redis at {address} has version {version}",
            remedy=f"install Redis {OLDEST_MAJOR_VERSION} or later",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise LedgerRefused(
            f"Redis at {address} would lose URLs when it is full: maxmemory-policy is {policy}",
            remedy="redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    if info.get("aof_enabled") == "0":
        log.warning(
            "Redis at %s keeps no append-only file: a restart loses what it has not saved, "
            "and those URLs are fetched again; redis-cli CONFIG SET appendonly yes",
            address,
        )


def parse_info(answer: bytes) -> dict[str, str]:
    """The fields of INFO (https://redis.io/docs/latest/commands/info/)."""
    lines = answer.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def _load(connection: AbstractConnection, address: str) -> None:
    """Load the libraries that are absent or differ; those that are there already cost no write."""
    present = await ask(connection, "FUNCTION", "LIST", "LIBRARYNAME", _OURS, "WITHCODE")
    for library in _LIBRARIES:
        code = _code(library)
        name = code.split("name=", 1)[1].split("\n", 1)[0]
        if not any(code.encode() in fields for fields in present):
            try:
                await ask(connection, "FUNCTION", "LOAD", "REPLACE", code)
            except redis_errors.NoPermissionError as error:
                is_there = any(name.encode() in fields for fields in present)
                raise _may_not_load(name, address, "another version" if is_there else "no code") from error
            log.info("loaded the functions of %s into Redis at %s", name, address)


def _may_not_load(library: str, address: str, found: str) -> LedgerRefused:
    return LedgerRefused(
        f"Redis at {address} has {found} of our functions {library}, and this user may not load them",
        remedy="run crawl-status of this version once as a user that may: crawl-topology render --as redis-acl",
    )


@cache
def _code(library: str) -> str:
    return resources.files("crawl_dedup").joinpath(library).read_text(encoding="utf-8")


def function_libraries() -> dict[str, str]:
    """The code of our function libraries, by the names that Redis knows them by."""
    codes = [_code(library) for library in _LIBRARIES]
    return {code.split("name=", 1)[1].split("\n", 1)[0]: code for code in codes}
