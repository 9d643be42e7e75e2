"""Consumer processes of a chaos run: each life has a name that the site sees, and the dead are replaced at once."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from crawl_dev.chaos.commands import BIN
from crawl_dev.chaos.faults import Fault, FaultLog
from crawl_dev.chaos.groups import Group
from crawl_dev.errors import ServersError

#: Between two looks at who has died.
_LOOK_S = 0.05
#: Pause before a consumer is replaced that gave up by itself; a supervisor would wait as long.
_GAVE_UP_PAUSE_S = 1.0
#: Done, or told to end before it had begun.
_IN_GOOD_ORDER = (0, -signal.SIGTERM)
#: Who gives up hands back what he has in hand, closes his connections and ends, which takes so long at most.
_GIVING_UP_S = 5.0
#: Above any end in good order: what is in flight, and the broker's and Redis' own time limits.
_STOP_S = 60.0
#: Of the log of a consumer that gave up: its error, or the end of a traceback.
_LAST_LINES = 12
#: A killed process may still have a request on its way to the site.
_ON_ITS_WAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many consumers live at once, how many URLs each has in hand, and more options of ``crawl-consumer``."""

    number: int = 4
    concurrency: int = 4
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Life:
    """One consumer process (or a supervisor with its own), from its start to its end."""

    name: str
    group: Group
    process: "subprocess.Popen[bytes]"
    log_file: Path
    replace_at_s: float | None = None  #: it ended by itself, and is replaced then

    @property
    def alive(self) -> bool:
        """Whether it runs; it may be frozen."""
        return self.process.poll() is None

    def children(self) -> list[int]:
        """Process ids of a supervisor's consumers."""
        try:
            pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except FileNotFoundError:
            return []
        return [int(pid) for pid in pids.split()]


class Consumers:
    """So many consumers, kept alive.

    Args:
        topology: the crawl's topology, as data; each life gets a copy with its own ``user_agent``.
        environment: leads the command to the servers.
        folder: for logs, topologies, and items in ``out``.
        faults: where the end of a life is written down.
        crowd: how many. One death accounts for as many extra fetches as each has URLs in hand.
        groups: which they belong to, by turns; who replaces one belongs to the same.
    """

    def __init__(
        self,
        topology: Mapping[str, Any],
        environment: Mapping[str, str],
        folder: Path,
        faults: FaultLog,
        crowd: Crowd,
        *,
        groups: Sequence[Group],
    ) -> None:
        self.crowd, self.groups = crowd, groups
        self.living: list[Life] = []
        self.lives = 0
        self.gave_up: list[int] = []  #: exit codes of those that ended by themselves, and not well
        self.last_lines: dict[int, str] = {}  #: what one of them said at its end, by exit code
        self.more_options: tuple[str, ...] = ()  #: of those that are started from now on
        self.more_environment: Mapping[str, str] = {}  #: the same
        self._topology, self._environment, self._folder, self._faults = topology, environment, folder, faults
        self._command = [
            str(BIN / "crawl-consumer"), "--quiet", "--concurrency", str(crowd.concurrency), *crowd.options,
        ]  # fmt: skip

    @property
    def alive(self) -> list[Life]:
        """Those that run at this moment; one that gave up by itself is replaced a little later.

        Raises:
            ServersError: nobody does.
        """
        if not (running := [life for life in self.living if life.alive]):
            raise ServersError(f"all {self.crowd.number} consumers have ended: {self.gave_up}")
        return running

    def start(self) -> None:
        """Start them all."""
        self.living += [self._born(group) for _, group in zip(range(self.crowd.number), cycle(self.groups))]

    async def stop(self) -> None:
        """End all in good order.

        Raises:
            subprocess.TimeoutExpired: one does not end; it is killed.
        """
        leaving, self.living = self.living, []
        for life in leaving:
            life.process.terminate()
            life.process.send_signal(signal.SIGCONT)
        try:
            for life in leaving:
                await asyncio.to_thread(life.process.wait, _STOP_S)
        finally:
            for life in leaving:
                life.process.kill()
                life.process.wait()

    def kill(self, life: Life) -> None:
        """``kill -9``, a new one in its place, and the fault in the log."""
        start_s = time.monotonic()
        life.process.kill()
        life.process.wait()
        self.ended("kill", life, start_s)
        self._replace(life)

    def last_words(self, lines: int = 5) -> str:
        """The last lines of each living consumer's log."""
        return "\n".join(
            f"  {life.name}: {line}"
            for life in self.living
            for line in life.log_file.read_text(errors="replace").splitlines()[-lines:]
        )

    async def keep(self) -> None:
        """Replace whoever ends, until cancelled; an end that nobody here caused is a fault, and counted."""
        looked_s = time.monotonic()
        while True:
            now_s = time.monotonic()
            for life in [life for life in self.living if not life.alive]:
                if life.replace_at_s is None:
                    life.replace_at_s = now_s + self._mourn(life, looked_s)
                if life.replace_at_s <= now_s:
                    self._replace(life)
            looked_s = now_s
            await asyncio.sleep(_LOOK_S)

    def _mourn(self, life: Life, since_s: float) -> float:
        """Write down the end of a life; returns for how long it is not replaced."""
        code = life.process.returncode
        if code in _IN_GOOD_ORDER:
            return 0.0
        self.gave_up.append(code)
        self.last_lines[code] = " | ".join(life.log_file.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        self.ended("gave up", life, since_s - _GIVING_UP_S)
        return _GAVE_UP_PAUSE_S

    def ended(self, name: str, life: Life, start_s: float) -> None:
        """Write down that what a life had in flight at ``start_s`` may have to be fetched again."""
        self._faults.append(
            Fault(
                name,
                start_s,
                time.monotonic(),
                frozenset({life.name}),
                at_most=self.crowd.concurrency,
                after_s=_ON_ITS_WAY_S,
                doubled=True,
            )
        )

    def _replace(self, life: Life) -> None:
        if life in self.living:
            self.living[self.living.index(life)] = self._born(life.group)

    def _born(self, group: Group) -> Life:
        self.lives += 1
        name = f"c{self.lives}{group.suffix}"
        path = self._folder / f"{name}.json"
        crawls = {crawl: spec | {"user_agent": name} for crawl, spec in self._topology["crawls"].items()}
        path.write_text(json.dumps({**self._topology, "crawls": crawls}))
        own = ("--queue", group.queue, "--output", str(group.items(self._folder / "out")))
        log_file = self._folder / f"{name}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [*self._command, *own, *self.more_options],
                env={**os.environ, **self._environment, **self.more_environment, "CRAWL_TOPOLOGY": str(path)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return Life(name, group, process, log_file)
