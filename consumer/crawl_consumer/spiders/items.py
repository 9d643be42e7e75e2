"""Items: what a spider may yield to be kept, taken apart into fields."""

import dataclasses
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from crawl_consumer.follow import Follow


class _DataclassInstance(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


#: A record to keep.
Item = Mapping[str, object] | BaseModel | _DataclassInstance
#: What a spider may return: anything to iterate over, at once or asynchronously, or nothing.
Yields = Iterable[Item | Follow] | AsyncIterable[Item | Follow] | Awaitable[Iterable[Item | Follow] | None] | None


@dataclass(frozen=True, slots=True)
class Made:
    """An item.

    Attributes:
        fields: its values by name.
        model: the class that it was an instance of; None: a plain mapping.
        thing: as it was yielded.
    """

    fields: Mapping[str, object]
    model: type | None = None
    thing: object = field(default=None, compare=False, repr=False)


def made(thing: object) -> Made:
    """An item taken apart.

    Raises:
        TypeError: it is none.
    """
    if isinstance(thing, Mapping):
        return Made(thing, None, thing)
    if isinstance(thing, BaseModel):
        return Made(thing.model_dump(), type(thing), thing)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return Made({f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}, type(thing), thing)
    raise TypeError(
        f"it yielded {thing!r:.60}; yield page.follow(url), a dict, a pydantic model or a dataclass instance"
    )
