"""Which process it is: the system uses a process id again, but not together with its start time."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process as nobody else can be: its id and when it started, in the system's own words."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The identity of the living process ``pid``; None if there is none, or one not yet buried."""
        state, started = _ask_proc(pid) if Path("/proc/self/stat").exists() else _ask_ps(pid)
        return None if state[:1] in {"", "Z", "X"} else cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a frozen one does)."""
        return ProcessIdentity.of(self.pid) == self


def _ask_proc(pid: int) -> tuple[str, str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    # Behind the name, which may hold anything: the state comes first, the start time twentieth (man 5 proc).
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def _ask_ps(pid: int) -> tuple[str, str]:
    asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = asked.stdout.strip().partition(" ")
    return state, started.strip()
