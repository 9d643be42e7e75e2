"""The promise of an output: what was flushed is safe.

A page's links are admitted only after its items were flushed: from then on the page is not fetched again, so an
item that was lost would stay lost.
"""

from collections.abc import Mapping
from typing import Protocol, Self


class Sink(Protocol):
    """Keeps records. It is opened and closed with ``async with``; closing flushes."""

    def write(self, record: Mapping[str, object]) -> None:
        """Take a record; it is safe only after the next :meth:`flush`.

        Raises:
            ItemInvalid: the record cannot be kept by this output; nothing of it was taken.
            OutputFailed: the output is broken.
        """

    async def flush(self) -> None:
        """Return when every record written before is safe; calls made together share the work.

        Raises:
            OutputFailed: it is not known to be; the output stays broken.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class NullSink:
    """Keeps nothing, for crawls whose links are all that matters."""

    def write(self, record: Mapping[str, object]) -> None:
        """Forget the record."""

    async def flush(self) -> None:
        """Return at once."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None
