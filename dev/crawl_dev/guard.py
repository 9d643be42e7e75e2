"""Ends private servers whose owner has died: a small process that holds the other end of the owner's pipe."""

import subprocess
import sys
from pathlib import Path

from crawl_dev.process import same_modules

#: What an owner says that has stopped its servers by itself.
_DISMISSED = b"dismissed"


class Guard:
    """Watches over the servers in ``folder`` until it is dismissed, or this process dies in any way."""

    def __init__(self, folder: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "crawl_dev", "guard", str(folder)],
            env=same_modules(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Send it home."""
        self._child.communicate(_DISMISSED)


def owner_died() -> bool:
    """In the guard: wait until the owner has dismissed it (False) or is dead (True)."""
    return sys.stdin.buffer.read() != _DISMISSED
