"""Opening Redis: connect, see that it may be trusted with a ledger, and give it our functions."""

import logging
from functools import cache
from importlib import resources
from typing import Any

from redis.asyncio.connection import ConnectionPool

from crawl_dedup.errors import LedgerRefused
from crawl_dedup.redis_batch import PATIENCE_S, BatchedRedis

log = logging.getLogger(__name__)

#: Function libraries came with Redis 7 (https://redis.io/docs/latest/develop/programmability/functions-intro/).
OLDEST_MAJOR_VERSION = 7
#: Seconds to connect: TCP, TLS and login. A host that is there answers at once.
CONNECT_S = 3.0
#: Seconds for which opening tries again: enough for a Redis that is just starting, bearable for a person.
OPENING_PATIENCE_S = 5.0

_LIBRARIES = ("ledger.lua", "slots.lua")


async def open_redis(url: str, *, name: str, patience_s: float = PATIENCE_S) -> BatchedRedis:
    """Connect to Redis and see that it can keep a ledger; the answer is a context manager that closes it.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password if needed.
        name: how this program is to appear in CLIENT LIST.
        patience_s: how long calls that fail for want of a connection are tried again.

    Raises:
        LedgerUnavailable: it does not answer; the message names host and port.
        LedgerRefused: it denies the login, is older than 7, or would evict keys.
    """
    pool = _pool(url, name)
    redis = BatchedRedis(
        pool.make_connection,
        address=_address(pool.connection_kwargs),
        libraries=[_code(library) for library in _LIBRARIES],
        patience_s=min(patience_s, OPENING_PATIENCE_S),
    )
    try:
        await _check(redis)
        await _load(redis)
    except BaseException:
        await redis.aclose()
        raise
    redis.patience_s = patience_s
    return redis


def _pool(url: str, name: str) -> ConnectionPool:
    try:
        return ConnectionPool.from_url(
            url,
            client_name=name,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_S,
            retry=None,
        )
    except ValueError as error:
        raise LedgerRefused(
            "the Redis URL cannot be read",
            remedy="write redis://host:port/0, rediss://… for TLS, or unix:///path",
        ) from error


def _address(options: dict[str, Any]) -> str:
    return options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


async def _check(redis: BatchedRedis) -> None:
    info = _parse_info(await redis.call("INFO"))
    version = info.get("redis_version", "unknown")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < OLDEST_MAJOR_VERSION:
        raise LedgerRefused(
            f"Redis at {redis.address} has version {version}",
            remedy=f"install Redis {OLDEST_MAJOR_VERSION} or later",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise LedgerRefused(
            f"Redis at {redis.address} would lose URLs when it is full: maxmemory-policy is {policy}",
            remedy="redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    if info.get("aof_enabled") == "0":
        log.warning(
            "Redis at %s keeps no append-only file: a restart loses what it has not saved, "
            "and those URLs are fetched again; redis-cli CONFIG SET appendonly yes",
            redis.address,
        )


def _parse_info(answer: bytes) -> dict[str, str]:
    lines = answer.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def _load(redis: BatchedRedis) -> None:
    """Load the libraries that are absent or differ; those that are there already cost no write."""
    for library in _LIBRARIES:
        code = _code(library)
        name = code.split("name=", 1)[1].split("\n", 1)[0]
        present = await redis.call("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")
        if not present or code.encode() not in present[0]:
            await redis.call("FUNCTION", "LOAD", "REPLACE", code)
            log.info("loaded the functions of %s into Redis at %s", name, redis.address)


@cache
def _code(library: str) -> str:
    return resources.files("crawl_dedup").joinpath(library).read_text(encoding="utf-8")


def function_libraries() -> dict[str, str]:
    """The code of our function libraries, by the names that Redis knows them by."""
    codes = [_code(library) for library in _LIBRARIES]
    return {code.split("name=", 1)[1].split("\n", 1)[0]: code for code in codes}
