"""Calls to Redis, many to a round trip, over one connection that mends itself.

What is called in one turn of the event loop, and while a round trip is under way, travels together: one
write, one read, and a few microseconds of our time for each call. One task owns the connection and callers
only wait for futures, so a caller that is cancelled can never leave the connection one answer behind
(CVE-2023-28858). After a failure every call without an answer is sent again. That is safe for whatever may be
done twice: all functions of ours, and the few plain commands beside them.
"""

import asyncio
import logging
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import hiredis
from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection

from crawl_dedup import crash_points, redis_failure
from crawl_dedup.errors import LedgerUnavailable

log = logging.getLogger(__name__)

#: Calls to one round trip. At 10 to 100 us each Redis answers within 10 ms; more would only make others wait.
MAX_BATCH_CALLS = 128
#: Bytes to one round trip, so that a few huge pages do not become one huge write.
MAX_BATCH_BYTES = 1 << 20
#: Times that the functions are loaded for one call. Somebody may flush them again in between; one that is missing
#: nevertheless is none of ours, which is found out in a tenth of a second.
MOST_LOADS = 50
#: Seconds for one round trip, connecting included. Redis answers in milliseconds; a slow disk may hold it up.
ROUND_TRIP_S = 10.0
#: Seconds for which failing calls are tried again by default: a Redis that restarts is back before.
PATIENCE_S = 30.0
#: Seconds between attempts: doubling from the first to the longest, each shortened at random.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
#: Which step of the ledger a call is (see ledger.lua).
_LEDGER_STEP = re.compile(rb"\r\nledger1_(\w+)\r\n")


@dataclass(slots=True)
class _Call:
    packed: bytes
    answer: asyncio.Future[Any]
    times_missing: int = 0  #: that its function was, and was loaded


class BatchedRedis:
    """One connection to Redis, shared by any number of callers in one event loop.

    Args:
        connect: makes a connection that may be used, with our functions behind it, and without a time limit on its
            socket: limits are kept here. Called again whenever the last one has failed.
        address: host:port or path, for messages; without a password.
        libraries: the code of the function libraries, loaded again whenever Redis has lost them meanwhile.
        patience_s: how long calls may fail before they are given up.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AbstractConnection]],
        *,
        address: str,
        libraries: Sequence[str] = (),
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.address = address
        self.connections = 0  #: made so far
        self._connect = connect
        self._connection: AbstractConnection | None = None
        self._libraries = tuple(libraries)
        self.patience_s = patience_s
        self._waiting: deque[_Call] = deque()
        self._sent: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._writer = self._loop.create_task(self._write(), name=f"redis {address}")

    def __repr__(self) -> str:
        return f"<BatchedRedis {self.address} waiting={len(self._waiting)} sent={len(self._sent)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def call(self, *words: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command that may be executed twice; the future brings its answer (bytes, int, list or None).

        Raises:
            LedgerUnavailable: no answer after all attempts, no room in Redis, or closed.
            LedgerRefused: Redis answered that it will not.
        """
        if self._closed:
            raise LedgerUnavailable(f"the connection to Redis at {self.address} is closed")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(_Call(hiredis.pack_command(words), answer))  # type: ignore[arg-type]  # the stub knows one word
        self._wake.set()
        return answer

    async def aclose(self) -> None:
        """Disconnect; whoever still waits gets LedgerUnavailable."""
        self._writer.cancel()
        await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    self._fill_batch()
                    await self._deliver_batch()
        finally:
            self._closed = True
            self._give_up(redis_errors.ConnectionError("closed by us"))
            await self._disconnect()

    def _fill_batch(self) -> None:
        room_bytes = MAX_BATCH_BYTES
        while self._waiting and len(self._sent) < MAX_BATCH_CALLS and room_bytes > 0:
            call = self._waiting.popleft()
            if not call.answer.done():
                self._sent.append(call)
                room_bytes -= len(call.packed)

    async def _deliver_batch(self) -> None:
        """Send the batch until each call in it has its answer; a call leaves it when it has."""
        give_up_at, pauses = self._loop.time() + self.patience_s, _pauses()
        cause: Exception | None = None
        while self._sent:
            try:
                async with asyncio.timeout_at(min(self._loop.time() + ROUND_TRIP_S, give_up_at)):
                    await self._round_trip()
            except redis_failure.FAILURES as error:
                await self._disconnect()
                if cause is None:
                    log.warning("Redis at %s: %s", self.address, str(error) or "no answer")
                if cause is None or str(error):  # an attempt that was cut short says nothing
                    cause = error
                if redis_failure.final(error) or self._loop.time() >= give_up_at:
                    self._give_up(cause)
                else:
                    await asyncio.sleep(next(pauses))

    async def _round_trip(self) -> None:
        sent = self._sent
        if self._connection is None:
            self._connection = await self._connect()
            self.connections += 1
        connection = self._connection
        await connection.send_packed_command(b"".join([call.packed for call in sent]), check_health=False)
        functions_lost = False
        for _ in range(len(sent)):
            try:
                answer = await connection.read_response()
                _perhaps_lose(sent[0].packed)
            except redis_errors.ResponseError as error:
                if redis_failure.elsewhere(error):
                    raise
                functions_lost |= self._settle_refused(sent.popleft(), error)
            else:
                call = sent.popleft()
                if not call.answer.done():
                    call.answer.set_result(answer)
        if functions_lost:
            await self._load_libraries(connection)

    def _settle_refused(self, call: _Call, error: redis_errors.ResponseError) -> bool:
        """Fail one call; unless its function is missing and may be loaded: then it stays in the batch."""
        if redis_failure.no_function(error) and call.times_missing < MOST_LOADS:
            call.times_missing += 1
            self._sent.append(call)
            return True
        if not call.answer.done():
            call.answer.set_exception(redis_failure.ours(error, self.address))
        return False

    async def _load_libraries(self, connection: AbstractConnection) -> None:
        log.warning("Redis at %s has lost our functions; loading them again", self.address)
        for code in self._libraries:
            await connection.send_command("FUNCTION", "LOAD", "REPLACE", code, check_health=False)
            await connection.read_response()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)

    def _give_up(self, error: Exception) -> None:
        """Fail every call that waits: those behind the batch have waited for the same connection."""
        for call in (*self._sent, *self._waiting):
            if not call.answer.done():
                call.answer.set_exception(redis_failure.ours(error, self.address))
        self._sent.clear()
        self._waiting.clear()


def _perhaps_lose(packed: bytes) -> None:
    """The crash point of a ledger's call whose answer is here and nobody was told. Raises ConnectionError."""
    if crash_points.armed() and (step := _LEDGER_STEP.search(packed)):
        point = cast("crash_points.CrashPoint", f"{step[1].decode()}.reply")
        if crash_points.lost(point):
            raise redis_errors.ConnectionError(f"dropped at {point}")


def _pauses() -> Iterator[float]:
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
