"""What an operating system says of a file, as our own error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crawl_consumer.errors import OutputFailed

_REMEDY = "make room, or choose another --output; what was not acknowledged comes again"


@contextmanager
def written_to(path: str | Path) -> Iterator[None]:
    """Work on the file at ``path``.

    Raises:
        OutputFailed: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise OutputFailed(f"cannot write {path}: {error.strerror or error}", remedy=_REMEDY) from error
