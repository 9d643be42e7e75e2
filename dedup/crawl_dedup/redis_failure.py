"""What redis-py's exceptions mean to us: try again elsewhere, give up, or ask the operator.

Error codes: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors and Redis' own
``src/server.c`` (shared error replies).
"""

from typing import Final

from redis import exceptions as redis_errors

from crawl_dedup.errors import DedupError, LedgerRefused, LedgerUnavailable

#: All that a round trip may raise: redis-py's, the system's, and ours about a server that must not be used.
#: uvloop reports a transport that has just closed as RuntimeError.
FAILURES: Final = (redis_errors.RedisError, DedupError, OSError, RuntimeError)

_ELSEWHERE = (
    redis_errors.ReadOnlyError,
    redis_errors.MasterDownError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
)

_DENIED = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
_BROKEN = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, RuntimeError)
#: The same, from a master that has lost its replicas: during a failover, either of the two may be the one to ask.
_NO_REPLICAS = "NOREPLICAS"
#: Answers that pass when an operator makes room: disk, a script that runs too long.
_NO_ROOM = ("MISCONF", "BUSY ")


def elsewhere(error: Exception) -> bool:
    """Whether it is the answer of a server that is not, or not yet, or no longer, the one to ask."""
    return isinstance(error, _ELSEWHERE) or str(error).startswith(_NO_REPLICAS)


def no_function(error: redis_errors.ResponseError) -> bool:
    """Whether Redis has lost our functions: a FUNCTION FLUSH, or a restart without persistence."""
    return "Function not found" in str(error)


def final(error: Exception) -> bool:
    """Whether connecting and trying again is of no use, because somebody must act first."""
    return isinstance(error, _DENIED) or not (isinstance(error, _BROKEN) or elsewhere(error))


def ours(error: Exception, address: str) -> DedupError:
    """Our error for one of redis-py's, with that as its cause."""
    translated = _translated(error, address)
    translated.__cause__ = error
    return translated


def _translated(error: Exception, address: str) -> DedupError:
    if isinstance(error, DedupError):
        return type(error)(str(error), remedy=error.remedy)
    reason = str(error) or "no answer in time"
    if isinstance(error, _DENIED):
        return LedgerRefused(
            f"Redis at {address} refuses the login: {reason}",
            remedy="set user and password in CRAWL_REDIS_URL: redis://user:password@host:port/0",
        )
    if isinstance(error, _BROKEN) or elsewhere(error):
        return LedgerUnavailable(
            f"Redis at {address} is unavailable: {reason}",
            remedy="start Redis, or set CRAWL_REDIS_URL to where it is",
        )
    if isinstance(error, redis_errors.NoPermissionError):
        return LedgerRefused(
            f"Redis at {address} refuses a command: {reason}",
            remedy="crawl-topology render --as redis-acl prints what each user needs",
        )
    if isinstance(error, redis_errors.OutOfMemoryError):
        return LedgerUnavailable(
            f"Redis at {address} is full: {reason}",
            remedy="raise maxmemory, or forget an old crawl: crawl-forget",
        )
    if reason.startswith(_NO_ROOM):
        return LedgerUnavailable(f"Redis at {address} cannot write: {reason}", remedy="see the log of Redis")
    return LedgerRefused(f"Redis at {address} refuses: {reason}", remedy="is this a Redis of version 7 or later?")
