"""A file that several processes append whole groups of lines to, each durable when the call returns.

A group goes in under a lock on the file; one that could not be completed (disk full) is taken back, and a line that
a killed process has torn is closed before anything is added to it. The calls block; use them in a thread.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Stands for standard output.
STDOUT = "-"

#: Make a file's bytes durable.
sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class AppendedFile:
    """The open file.

    Args:
        path: made with its folder where it is missing. Standard output and what is no plain file are only written
            to: not locked, not mended, and synced only where that means something.

    Raises:
        OSError: it cannot be opened, made or mended.
    """

    def __init__(self, path: str | Path) -> None:
        self._shared = False
        if path == STDOUT:
            self._fd = os.dup(1)
        else:
            self._fd = _open(Path(path))
            self._shared = self._is_plain()
        if self._shared:
            with self._locked():
                self._write_whole(b"")
            sync_folder(Path(path).parent)

    def append(self, group: bytes) -> None:
        """Add whole lines and sync them.

        Raises:
            OSError: they are not in the file, or are and may not survive a power failure.
        """
        if self._shared:
            with self._locked():
                self._write_whole(group)
        else:
            write_all(self._fd, group)
        if self._is_plain():
            sync(self._fd)

    def close(self) -> None:
        """Close it; standard output itself stays open."""
        os.close(self._fd)

    def _write_whole(self, group: bytes) -> None:
        end = os.fstat(self._fd).st_size
        if end and os.pread(self._fd, 1, end - 1) != b"\n":
            group = b"\n" + group
        try:
            write_all(self._fd, group)
        except OSError:
            os.ftruncate(self._fd, end)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_plain(self) -> bool:
        return stat.S_ISREG(os.fstat(self._fd).st_mode)


def _open(path: Path) -> int:
    if path.exists() and not path.is_file():
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however many calls it takes. Raises OSError when some of them may be written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new file's bytes alone are not enough."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
