"""The promise of an output: what was flushed is safe.

A page's links are admitted only after its items were flushed: from then on the page is not fetched again, so an
item that was lost would stay lost. A crash between the two brings the page again, and its items a second time,
under the same keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from crawl_consumer.response import Response


@dataclass(frozen=True, slots=True)
class Record:
    """An item on its way to the outputs.

    Attributes:
        page: the fingerprint of the page that it came from.
        number: its place among the page's items, from 0.
        fields: the item itself.
        model: the class that it was an instance of; None: a plain mapping.
    """

    page: str
    number: int
    fields: Mapping[str, object]
    model: type | None = None

    @property
    def key(self) -> str:
        """The same for the same item of a page that was fetched again; different for any other item of the crawl."""
        return f"{self.page}.{self.number}"

    @property
    def kind(self) -> str:
        """What sort of item: its class' name, ``item`` for a plain mapping."""
        return "item" if self.model is None else self.model.__name__


class Sink(Protocol):
    """Keeps records. It is opened and closed with ``async with``; closing flushes."""

    def write(self, record: Record) -> None:
        """Take a record; it is safe only after the next :meth:`flush`. All records of a page come in a row.

        Raises:
            ItemInvalid: the record cannot be kept by this output; nothing of it was taken.
            OutputFailed: the output is broken.
        """

    def archive(self, response: Response, /) -> bool:
        """Take a response as it came, whatever its status; False: this output keeps none.

        It is safe only after the next :meth:`flush`.

        Raises:
            OutputFailed: the output is broken.
        """

    async def flush(self) -> None:
        """Return when everything that was taken before is safe; calls made together share the work.

        Raises:
            OutputFailed: it is not known to be; the output stays broken.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class ItemsOnly:
    """An output that keeps items and no responses."""

    def archive(self, _response: Response, /) -> bool:
        """Forget the response."""
        return False


class NullSink(ItemsOnly):
    """Keeps nothing, for crawls whose links are all that matters."""

    def write(self, record: Record) -> None:
        """Forget the record."""

    async def flush(self) -> None:
        """Return at once."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None
