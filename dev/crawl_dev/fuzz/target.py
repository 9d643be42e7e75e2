"""What is fuzzed: a reader of strangers' bytes, what must hold of it for any of them, and bytes to begin with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


class Broken(AssertionError):
    """A property does not hold; the message says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader and its properties.

    Attributes:
        name: for the command and for files.
        check: reads any bytes. Whatever it raises is a finding: what the reader documents, it catches.
        seeds: bytes worth changing, of honest and of known hostile kinds.
        words: pieces that mean something to the reader, put in where chance would hardly write them.
        max_bytes: of an input; enough for what takes the square of the time to show.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()
    max_bytes: int = 1 << 14


def surely(holds: object, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


def chosen(data: bytes, options: Sequence[_T]) -> tuple[_T, bytes]:
    """One of the options, by the first byte, and the other bytes."""
    return options[data[0] % len(options) if data else 0], data[1:]


def text(data: bytes) -> str:
    """Bytes as text; those that are no UTF-8 as lone surrogates, which JSON and header fields can hold as well."""
    return data.decode("utf-8", "surrogateescape")
