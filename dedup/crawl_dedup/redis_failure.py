"""What redis-py's exceptions mean to us: try again elsewhere, give up, or ask the operator.

Error codes: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors and Redis' own
``src/server.c`` (shared error replies).
"""

from typing import Final

from redis import exceptions as redis_errors

from crawl_dedup.errors import DedupError, LedgerRefused, LedgerUnavailable

#: No use in trying again: whoever gives the password must act.
DENIED: Final = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
#: Answers of a node that is not, or not yet, or no longer, the one to ask.
ELSEWHERE: Final = (
    redis_errors.ReadOnlyError,
    redis_errors.MasterDownError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
)
#: Reasons to connect and try again. uvloop reports a transport that has just closed as RuntimeError.
BROKEN: Final = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, RuntimeError, *ELSEWHERE)

#: Answers that pass when an operator makes room: disk, replicas, a script that runs too long.
_NO_ROOM = ("MISCONF", "NOREPLICAS", "BUSY ")


def no_function(error: redis_errors.ResponseError) -> bool:
    """Whether Redis has lost our functions: a FUNCTION FLUSH, or a restart without persistence."""
    return "Function not found" in str(error)


def unavailable(error: Exception, address: str) -> LedgerUnavailable:
    """Redis did not answer, or not this."""
    reason = str(error) or "no answer in time"
    return LedgerUnavailable(
        f"Redis at {address} is unavailable: {reason}",
        remedy="start Redis, or set CRAWL_REDIS_URL to where it is",
    )


def refused(error: Exception, address: str) -> DedupError:
    """Redis answered with this error."""
    reason = str(error)
    if isinstance(error, DENIED):
        return LedgerRefused(
            f"Redis at {address} refuses the login: {reason}",
            remedy="set user and password in CRAWL_REDIS_URL: redis://user:password@host:port/0",
        )
    if isinstance(error, redis_errors.NoPermissionError):
        return LedgerRefused(
            f"Redis at {address} refuses a command: {reason}",
            remedy="ACL SETUSER <user> ~crawl:* +@all -@dangerous +info",
        )
    if isinstance(error, redis_errors.OutOfMemoryError):
        return LedgerUnavailable(
            f"Redis at {address} is full: {reason}",
            remedy="raise maxmemory, or forget an old crawl: crawl-forget",
        )
    if reason.startswith(_NO_ROOM):
        return LedgerUnavailable(f"Redis at {address} cannot write: {reason}", remedy="see the log of Redis")
    return LedgerRefused(f"Redis at {address} refuses: {reason}", remedy="is this a Redis of version 7 or later?")
