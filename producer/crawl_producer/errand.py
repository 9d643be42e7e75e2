"""An errand: what a link carries besides its URL, from whoever named it to the spider that parses the page."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from crawl_producer.topology_values import Key

#: Of a link's ``meta`` as JSON: beside the longest URL it leaves room for everything else in one message.
MAX_META_BYTES = 1024
#: As high as QueueSpec.max_priority goes.
MAX_PRIORITY = 10
#: Exchange and routing key; an empty exchange is the crawl's own.
Route = tuple[str, str]
#: A route and a priority, where a spider names them.
Way = tuple[Route | None, int | None]


def _small(meta: dict[str, JsonValue]) -> dict[str, JsonValue]:
    text = to_json(meta, inf_nan_mode="constants")
    if len(text) > MAX_META_BYTES:
        raise ValueError(f"{len(text)} bytes of JSON; at most {MAX_META_BYTES} travel with a URL")
    # Where there is no such word in the text, no such number can be in it.
    if b"NaN" in text or b"Infinity" in text:
        _read_back(text)
    return meta


def _read_back(text: bytes) -> None:
    try:
        from_json(b'{"meta":%b}' % text, allow_inf_nan=False)  # as it stands in its message
    except ValueError as error:  # NaN, or nested deeper than the reader goes
        raise ValueError(f"no JSON that can be read back: {error}") from None


#: The name of a spider's method; those that begin with an underscore are nobody else's business.
Method = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
#: See :data:`Route`.
NamedRoute = tuple[Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.:-]*$")], Key]
#: See :data:`MAX_PRIORITY`.
Priority = Annotated[int, Field(ge=1, le=MAX_PRIORITY)]
#: A small JSON object.
Meta = Annotated[dict[str, JsonValue], AfterValidator(_small)]


class Errand(NamedTuple):
    """What a link carries; nothing of it is part of the URL's identity.

    Attributes:
        to: the spider's method that parses the page; None: ``parse``.
        route: where the message goes instead of the crawl's routes.
        priority: 1 … MAX_PRIORITY, for queues with ``max_priority``.
        meta: a JSON object as text, so that errands can be compared.
    """

    to: str | None = None
    route: Route | None = None
    priority: int | None = None
    meta: str | None = None

    @classmethod
    def of(cls, *, to: object, route: object, priority: object, meta: Mapping[str, Any] | None) -> "Errand | None":
        """Check what a spider says; None: it says nothing.

        Args:
            to: a method's name.
            route: a routing key, or exchange and key.
            priority: see :class:`Errand`.
            meta: anything that JSON can say, of at most MAX_META_BYTES.

        Raises:
            ValueError: one of them cannot be; the message says which, and why.
        """
        if to is None and route is None and priority is None and not meta:
            return None
        route = ("", route) if isinstance(route, str) else route
        return cls(
            None if to is None else _checked("to", _METHOD, to),
            None if route is None else _checked("route", _ROUTE, route),
            None if priority is None else _checked("priority", _PRIORITY, priority),
            _as_json(meta) if meta else None,
        )

    def fields(self) -> dict[str, Any]:
        """The fields of a URL message, without those that say nothing."""
        said = {"to": self.to, "route": self.route, "priority": self.priority}
        said["meta"] = None if self.meta is None else from_json(self.meta)
        return {name: value for name, value in said.items() if value is not None}


_METHOD, _PRIORITY = TypeAdapter[str](Method), TypeAdapter[int](Priority)
_ROUTE, _META = TypeAdapter[Route](NamedRoute), TypeAdapter[dict[str, JsonValue]](Meta)


def _as_json(meta: Mapping[str, Any]) -> str:
    text = to_json(_checked("meta", _META, dict(meta)), inf_nan_mode="constants")
    try:
        _read_back(text)
    except ValueError as error:
        raise ValueError(f"meta: {error}") from None
    return text.decode()


def _checked(what: str, adapter: TypeAdapter[Any], value: object) -> Any:
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join((what, *(str(part) for part in first["loc"])))
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
