"""Items: what a spider may yield to be kept, taken apart into fields."""

import dataclasses
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from crawl_consumer.follow import Follow, FollowAll


class _DataclassInstance(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Draft:
    """An item that is still to be validated; :meth:`crawl_consumer.page.Page.item` makes one.

    Attributes:
        model: a pydantic model or a dataclass.
        fields: its values.
    """

    model: type
    fields: Mapping[str, object]


#: A record to keep.
Item = Mapping[str, object] | BaseModel | _DataclassInstance | Draft
#: What a spider may yield.
Yielded = Item | Follow | FollowAll
#: What a spider may return: anything to iterate over, at once or asynchronously, or nothing.
Yields = Iterable[Yielded] | AsyncIterable[Yielded] | Awaitable[Iterable[Yielded] | None] | None


@dataclass(frozen=True, slots=True)
class Invalid:
    """A draft that its model refused.

    Attributes:
        number: its place among the page's items, from 0.
        draft: as it was yielded.
        error: what is wrong, field by field, in one line.
    """

    number: int
    draft: Draft
    error: str


@dataclass(frozen=True, slots=True)
class Made:
    """An item.

    Attributes:
        fields: its values by name.
        model: the class that it was an instance of; None: a plain mapping.
        thing: as it was yielded; of a mapping, a copy; of a draft, what came of it.
        number: its place among the page's items, invalid ones included.
    """

    fields: Mapping[str, object]
    model: type | None = None
    thing: object = field(default=None, compare=False, repr=False)
    number: int = field(default=0, compare=False)


def made(thing: object, number: int = 0) -> Made | Invalid:
    """An item taken apart, or what is wrong with a draft.

    Raises:
        TypeError: it is none.
    """
    if isinstance(thing, Mapping):
        fields = dict(thing)  # the spider may fill the same one again for its next item
        return Made(fields, None, fields, number)
    if isinstance(thing, Draft):
        return _validated(thing, number)
    if isinstance(thing, BaseModel):
        return Made(thing.model_dump(), type(thing), thing, number)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return Made({f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}, type(thing), thing, number)
    raise TypeError(
        f"it yielded {thing!r:.60}; yield page.follow(url), a dict, a pydantic model or a dataclass instance"
    )


def _validated(draft: Draft, number: int) -> Made | Invalid:
    try:
        return made(_adapter(draft.model).validate_python(draft.fields), number)
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, one['loc'])) or 'item'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        return Invalid(number, draft, " ".join("; ".join(found).split()))


@cache
def _adapter(model: type) -> TypeAdapter[Any]:
    return TypeAdapter(model)
