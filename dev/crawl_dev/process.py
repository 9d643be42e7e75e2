"""One server process: started in a session of its own, ended only if it is still the one that was started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from crawl_dev.errors import ServersError
from crawl_dev.identity import ProcessIdentity

#: A RabbitMQ node closes its queues within a few seconds; one that takes longer than this hangs.
STOP_DEADLINE_S = 20.0
#: A killed process is gone as soon as the system has taken back its memory.
_KILL_DEADLINE_S = 10.0
#: How often a condition is looked at; far below every start-up time, and no load.
POLL_S = 0.05
#: Servers say in one line that something is wrong and in the next ones what.
_REASON_LINES = 3


def same_modules() -> dict[str, str]:
    """An environment in which a Python process finds the modules that this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class ServerProcess:
    """A server's process, which may be dead, and may have been started by another command.

    Its identity stands in a file, so that any later command ends exactly this process and no other.

    Args:
        name: what people call it; also the name of its log and identity files.
        port: where it listens, on loopback.
        folder: where these files are kept, and the process's working directory.
        command: the program and its arguments; it must stay in the foreground.
        environment: the complete environment; nothing is inherited.
    """

    #: How long it may take until it answers, seconds; generous, because tests keep machines busy.
    ready_deadline_s: ClassVar[float] = 30.0

    def __init__(
        self, name: str, port: int, folder: Path, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self.log_file = folder / f"{name}.log"
        self._identity_file = folder / f"{name}.process.json"
        self._command = tuple(command)
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.identity if self.alive else 'dead'}>"

    @property
    def identity(self) -> ProcessIdentity | None:
        """The process that was started last, dead or alive; None before the first start."""
        try:
            return ProcessIdentity(**json.loads(self._identity_file.read_text()))
        except FileNotFoundError:
            return None

    @property
    def alive(self) -> bool:
        """Whether the process runs; it may be frozen."""
        if self._child is not None and self._child.poll() is None:
            return True
        identity = self.identity
        return identity is not None and identity.alive

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            ServersError: it does not run.
        """
        identity = self.identity
        if identity is None or not self.alive:
            raise ServersError(f"{self.name} does not run")
        return identity.pid

    def answers(self) -> bool:
        """Whether it does its work; each kind of server is asked in its own way."""
        return self.alive

    def start(self) -> None:
        """Start it, unless it runs; it is not yet ready then. Ctrl-C in a terminal spares it."""
        if self.alive:
            return
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        identity = ProcessIdentity.of(self._child.pid)
        if identity is None:
            raise self.failure("ended at once")
        self._identity_file.write_text(json.dumps(asdict(identity)))

    def wait_ready(self, deadline_s: float | None = None) -> None:
        """Wait until it answers.

        Raises:
            ServersError: it ended, or does not answer after ``deadline_s`` seconds.
        """
        limit_s = self.ready_deadline_s if deadline_s is None else deadline_s
        until = time.monotonic() + limit_s
        while not self.answers():
            if not self.alive:
                raise self.failure("ended while starting")
            if time.monotonic() > until:
                raise self.failure(f"is not ready after {limit_s:.0f} s")
            time.sleep(POLL_S)

    def restart(self) -> None:
        """Start it again with its data, stopping it in good order if it runs, and wait until it is ready."""
        self.terminate()
        self.start()
        self.wait_ready()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open and are silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it (SIGCONT), if it runs."""
        with suppress(ServersError):
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as ``kill -9`` or a power cut does, if it runs."""
        with suppress(ServersError):
            self._signal(signal.SIGKILL)
        if not self._wait_gone(_KILL_DEADLINE_S):
            raise self.failure("survived SIGKILL")

    def ask_to_end(self) -> None:
        """Ask it to end in good order (SIGTERM), if it runs, without waiting."""
        with suppress(ServersError):
            self._signal(signal.SIGTERM)
        self.resume()  # a frozen process does not hear

    def terminate(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Stop it in good order, and kill it if it still runs after ``deadline_s`` seconds."""
        self.ask_to_end()
        if not self._wait_gone(deadline_s):
            self.kill()

    def failure(self, what: str) -> ServersError:
        """An error that says what happened to it, and what its log says of the reason."""
        log = self.log_file.read_bytes()[self._log_start :] if self.log_file.exists() else b""
        lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
        errors = (number for number, line in enumerate(lines) if "error" in line.lower())
        first = next(errors, len(lines) - 1) if lines else 0
        reason = " | ".join(lines[first : first + _REASON_LINES]) or "it wrote nothing"
        return ServersError(f"{self.name} {what}: {reason}", remedy=f"see {self.log_file}")

    def _signal(self, number: signal.Signals) -> None:
        # SIGKILL gives a server no time to end its own children; the others are the server's to pass on.
        send = os.killpg if number == signal.SIGKILL else os.kill
        try:
            send(self.pid, number)
        except ProcessLookupError:
            raise ServersError(f"{self.name} has just ended") from None

    def _wait_gone(self, deadline_s: float) -> bool:
        until = time.monotonic() + deadline_s
        while self.alive:
            if time.monotonic() > until:
                return False
            time.sleep(POLL_S)
        return True
