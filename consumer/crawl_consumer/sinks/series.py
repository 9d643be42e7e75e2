"""A series of files that one process writes alone: each group is durable when the call returns, full files are left.

Names are ``<stem>-<writer>-<number><endings>``, so any number of processes may share a folder. A file that is not its
writer's newest is complete. The calls block; use them in a thread.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from crawl_consumer.sinks.appending import sync, sync_folder, write_all
from crawl_producer.rotation import Rotation


class FileSeries:
    """The file that is being written, and those after it.

    Args:
        path: folder, stem and endings of the names.
        writer: told apart by this from all other processes that ever write here.
        rotation: when the next file is begun.
        head: what each file begins with.
    """

    def __init__(self, path: Path, *, writer: str, rotation: Rotation, head: Callable[[], bytes] = lambda: b"") -> None:
        self._path = path
        self._writer = writer
        self._rotation = rotation
        self._head = head
        self._number = 0
        self._fd: int | None = None
        self._begun_s = 0.0

    def append(self, group: bytes) -> None:
        """Add a group to the newest file, or to a new one.

        Raises:
            OSError: it is not there, or is and may not survive a power failure.
        """
        if self._fd is not None and self._is_full(self._fd):
            self.close()
        if self._fd is None:
            self._fd = self._begin()
        _write_whole(self._fd, group)

    def close(self) -> None:
        """Leave the newest file as it is."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_full(self, fd: int) -> bool:
        too_old = self._rotation.seconds is not None and time.monotonic() - self._begun_s >= self._rotation.seconds
        return too_old or (self._rotation.bytes is not None and os.fstat(fd).st_size >= self._rotation.bytes)

    def _begin(self) -> int:
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True)
        stem, dot, endings = self._path.name.partition(".")
        self._number += 1
        path = folder / f"{stem}-{self._writer}-{self._number:05}{dot}{endings}"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            _write_whole(fd, self._head())
        except OSError:
            os.close(fd)
            path.unlink()
            self._number -= 1
            raise
        sync_folder(folder)
        self._begun_s = time.monotonic()
        return fd


def _write_whole(fd: int, group: bytes) -> None:
    end = os.fstat(fd).st_size
    try:
        write_all(fd, group)
        sync(fd)
    except OSError:
        os.ftruncate(fd, end)
        raise
