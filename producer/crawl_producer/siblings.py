"""Messages for the links of a page, and for seeds: they differ in little but their URL, so the rest is encoded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from pydantic_core import to_json

from crawl_producer.errand import Way
from crawl_producer.message import MAX_ENCODED_BYTES, UrlMessage

#: Stands for the URL in the text that siblings share; no URL can contain it.
_PLACE = "\n"


class Link(Protocol):
    """A URL on its way through the door: a :class:`UrlMessage`, or something that is one when it is encoded."""

    @property
    def url(self) -> str:
        """Canonical."""

    @property
    def way(self) -> Way | None:
        """How it is published; None: as the crawl's routes say, without priority."""

    def encode(self) -> bytes:
        """The message's bytes; see :meth:`UrlMessage.encode`."""


@dataclass(frozen=True, slots=True)
class Family:
    """What siblings have in common.

    Attributes:
        pattern: their message, with a place for the URL.
        before: the bytes of the message up to the URL …
        after: … and behind it.
        way: see :class:`Link`.
    """

    pattern: UrlMessage
    before: bytes
    after: bytes
    way: Way | None

    @classmethod
    def of(cls, **common: Any) -> Self:
        """The family of messages with these fields, all but the URL; they are not validated."""
        return cls._with(UrlMessage.model_construct(url=_PLACE, **common))

    def on(self, errand: Mapping[str, Any]) -> Self:
        """The same family, with these fields besides."""
        return self._with(self.pattern.model_copy(update=errand))

    @classmethod
    def _with(cls, pattern: UrlMessage) -> Self:
        before, after = pattern.encode().split(to_json(_PLACE))
        return cls(pattern, before, after, pattern.way)

    def has_room_for(self, url: str) -> bool:
        """Whether the message of this URL can be retried without becoming too large."""
        return len(to_json(url)) - len(to_json(_PLACE)) <= self.pattern.room_bytes


class Sibling(NamedTuple):
    """The message of a family for this canonical URL, made and encoded in a twelfth of a UrlMessage's time.

    A tuple, because a page has dozens, and the constructor of a frozen dataclass takes three times as long.
    """

    url: str
    family: Family

    @property
    def way(self) -> None:
        """See :class:`Link`; who has one is :class:`Sent`."""

    def encode(self) -> bytes:
        """What ``UrlMessage.encode`` gives for it, byte for byte."""
        family = self.family
        body = family.before + to_json(self.url) + family.after
        if len(body) > MAX_ENCODED_BYTES:
            return family.pattern.model_copy(update={"url": self.url}).encode()
        return body


class Sent(NamedTuple):
    """A sibling that goes its own way."""

    sibling: Sibling
    way: Way

    @property
    def url(self) -> str:
        """Canonical."""
        return self.sibling.url

    def encode(self) -> bytes:
        """See :meth:`Sibling.encode`."""
        return self.sibling.encode()


class Seedling(NamedTuple):
    """A sibling with a site of its own, as seeds are; the family has no ``root``."""

    url: str
    root: str
    family: Family

    @property
    def way(self) -> None:
        """See :class:`Link`: seeds go where the crawl's routes say."""

    def encode(self) -> bytes:
        """What ``UrlMessage.encode`` gives for it, but for the order of the fields."""
        before, after = self.family.before, self.family.after
        return before + to_json(self.url) + b',"root":' + to_json(self.root) + after


def link(url: str, family: Family) -> Link:
    """The message of a family for this canonical URL."""
    sibling = Sibling(url, family)
    return sibling if family.way is None else Sent(sibling, family.way)
