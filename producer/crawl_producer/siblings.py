"""Messages for the links of one page: they differ in nothing but their URL, so the rest is encoded once."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from pydantic_core import to_json

from crawl_producer.message import MAX_ENCODED_BYTES, UrlMessage

#: Stands for the URL in the text that siblings share; no URL can contain it.
_PLACE = "\n"


class Link(Protocol):
    """A URL on its way through the door: a :class:`UrlMessage`, or something that is one when it is encoded."""

    @property
    def url(self) -> str:
        """Canonical."""

    def encode(self) -> bytes:
        """The message's bytes; see :meth:`UrlMessage.encode`."""


@dataclass(frozen=True, slots=True)
class Family:
    """What siblings have in common.

    Attributes:
        pattern: their message, with a place for the URL.
        before: the bytes of the message up to the URL …
        after: … and behind it.
    """

    pattern: UrlMessage
    before: bytes
    after: bytes

    @classmethod
    def of(cls, **common: Any) -> Self:
        """The family of messages with these fields, all but the URL; they are not validated."""
        pattern = UrlMessage.model_construct(url=_PLACE, **common)
        before, after = pattern.encode().split(to_json(_PLACE))
        return cls(pattern, before, after)


class Sibling(NamedTuple):
    """The message of a family for this canonical URL, made and encoded in a twelfth of a UrlMessage's time.

    A tuple, because a page has dozens, and the constructor of a frozen dataclass takes three times as long.
    """

    url: str
    family: Family

    def encode(self) -> bytes:
        """What ``UrlMessage.encode`` gives for it, byte for byte."""
        family = self.family
        body = family.before + to_json(self.url) + family.after
        if len(body) > MAX_ENCODED_BYTES:
            return family.pattern.model_copy(update={"url": self.url}).encode()
        return body
