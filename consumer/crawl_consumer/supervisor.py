"""Several consumer processes under one: a dead child is started again, with growing pauses."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from crawl_consumer.stopping import on_signals
from crawl_producer.command import ExitCode

log = logging.getLogger(__name__)

#: Pause before a dead child is started again, doubled after each death …
RESTART_FIRST_S = 1.0
#: … up to this, and back to the first one after a child lived this long.
RESTART_MAX_S = 30.0
#: After the second signal a child has this long to leave before it is killed.
KILL_S = 5.0
#: Ends that a restart cannot mend; the first such end stops all.
PERMANENT = frozenset(
    {
        ExitCode.USAGE,
        ExitCode.TOPOLOGY_FILE,
        ExitCode.BROKER_REFUSED,
        ExitCode.REDIS_REFUSED,
        ExitCode.CRAWL_MISMATCH,
        ExitCode.UNKNOWN_NAME,
        ExitCode.TOPOLOGY_DIFFERS,
        ExitCode.OUTPUT_NOT_WRITABLE,
        ExitCode.SPIDER,
    }
)


class Supervisor:
    """Keeps ``processes`` children of one command alive until each ends well.

    Args:
        command: program and arguments of a child. It must stop on SIGTERM, and when its standard input
            ends: that is how a child learns that its supervisor was killed.
        processes: how many.
    """

    def __init__(self, command: Sequence[str], processes: int) -> None:
        self._command = command
        self._processes = processes
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Until all children have ended; returns the exit code that a restart could not mend, if any, or 0.

        The first signal asks the children to end, the second again, which makes them leave at once, and whoever
        is deaf to that is killed soon after.
        """
        with on_signals(first=self._stop, second=self._force):
            codes = await asyncio.gather(*(self._keep_alive(n) for n in range(self._processes)))
        return next((code for code in codes if code in PERMANENT), 0)

    async def _keep_alive(self, number: int) -> int:
        pause_s = RESTART_FIRST_S
        code = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._one_life(number)
            if code == 0 or self._stopping.is_set():
                break
            if code in PERMANENT:
                self._stop()
                break
            if time.monotonic() - started > RESTART_MAX_S:
                pause_s = RESTART_FIRST_S
            log.warning("process %d ended with %s; starting it again in %.0f s", number, _described(code), pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, RESTART_MAX_S)
        return code

    async def _one_life(self, number: int) -> int:
        # A session of its own: Ctrl-C must reach the supervisor once, not every child a second time.
        child = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._children[number] = child
        if self._stopping.is_set():  # while it was being born
            child.terminate()
        try:
            return await child.wait()
        finally:
            self._children.pop(number, None)

    def _stop(self) -> None:
        self._stopping.set()
        for child in self._living():
            child.terminate()

    def _force(self) -> None:
        self._stop()
        asyncio.get_running_loop().call_later(KILL_S, self._kill)

    def _kill(self) -> None:
        for child in self._living():
            log.warning("process %d is deaf to SIGTERM; killing it", child.pid)
            child.kill()

    def _living(self) -> list[asyncio.subprocess.Process]:
        return [child for child in self._children.values() if child.returncode is None]


def child_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command line of one supervised consumer with these arguments."""
    return (sys.executable, "-m", "crawl_consumer", *arguments, "--supervised")


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


async def supervisor_gone() -> None:
    """Returns when standard input ends, which a supervisor's death does by itself."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    os.set_blocking(0, False)

    def readable() -> None:
        try:
            if os.read(0, 4096):
                return
        except BlockingIOError:
            return
        loop.remove_reader(0)
        gone.set()

    loop.add_reader(0, readable)
    await gone.wait()
