"""The crawl-* commands as processes, for chaos runs."""

import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from crawl_dev.errors import ServersError

#: Where this Python's commands are installed.
BIN = Path(sys.executable).parent
#: Above any command of a run on two busy cores; reached only when one hangs.
_PATIENCE_S = 120.0


def run(environment: Mapping[str, str], *command: str, may_end_with: Collection[int] = (0,)) -> str:
    """What a command prints.

    Args:
        environment: leads it to the servers.
        command: its words.
        may_end_with: exit codes that are no failure.

    Raises:
        ServersError: it failed or hung; the message has what it said.
    """
    try:
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ServersError(f"{command[0]} still runs after {_PATIENCE_S:.0f} s") from None
    if done.returncode not in may_end_with:
        raise ServersError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
