"""The content codings of a body, undone within limits as its bytes come (RFC 9110, section 8.4).

HTTP libraries hand out what they could decode of a compressed body that was cut short, as if it were whole;
its links would be lost without a trace. Here a coding must come to its end, or the body counts as broken.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from crawl_consumer.codings import CODINGS, NOT_ASKED_FOR, Coding

#: Codings one over the other; honest servers use one. Each costs a pass over the body.
MAX_CODINGS = 2
#: Decoded bytes for each one sent: real pages reach 50 …
MAX_RATIO = 200
#: … and bytes up to which any ratio will do: a short page of one repeated line is no bomb.
FREE_BYTES = 1 << 20
#: Bytes that a coding is fed at once: what is left of them behind a member is copied, and a member may be 20 bytes.
_STEP_BYTES = 1 << 14


class TooLong(ValueError):
    """A body that is longer than anybody wants, as sent or as decoded; the message says which."""


class Decoding:
    """One body on its way out of its codings. No more than its limit, and one step of decoding, is ever in memory.

    Names that are no coding at all (``identity``, ``utf-8``, ``none``) are passed over, as browsers do.

    Args:
        content_encoding: the field's value, codings in the order in which they were applied; empty: none.
        limit_bytes: of the body, as sent, as decoded and between two codings.
        wanted_bytes: no more of it is wanted; None: all.

    Attributes:
        wire_bytes: what came.

    Raises:
        ValueError: too many codings, or one that was not asked for; the message is the reason.
    """

    __slots__ = ("_body", "_limit_bytes", "_size", "_steps", "_wanted_bytes", "wire_bytes")

    def __init__(self, content_encoding: str, *, limit_bytes: int, wanted_bytes: int | None = None) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")] if content_encoding else []
        if refused := NOT_ASKED_FOR.intersection(names):
            raise ValueError(f"content coding {min(refused)} was not asked for")
        found = [name for name in names if name in CODINGS]
        if len(found) > MAX_CODINGS:
            raise ValueError(f"{len(found)} content codings, at most {MAX_CODINGS} are undone")
        self._steps = [_Step(Coding(CODINGS[name])) for name in reversed(found)]
        self._limit_bytes, self._wanted_bytes = limit_bytes, wanted_bytes
        self._body: bytes | bytearray = b""
        self.wire_bytes, self._size = 0, 0

    @property
    def has_enough(self) -> bool:
        """Whether all that is wanted is there."""
        return self._wanted_bytes is not None and self._size >= self._wanted_bytes

    def feed(self, wire: bytes) -> None:
        """Take the next bytes.

        Raises:
            TooLong: that is more than anybody wants.
            ValueError: a coding is damaged; the message is the reason.
        """
        self.wire_bytes += len(wire)
        if not self._steps:
            self._keep(wire)
            return
        for start in range(0, len(wire), _STEP_BYTES):
            for piece in self._undone(wire[start : start + _STEP_BYTES], 0):
                self._keep(piece)
                if self.has_enough:
                    return
        self._limit(self.wire_bytes)

    def body(self) -> bytes:
        """All of it, or as much as was wanted.

        Raises:
            ValueError: a coding did not come to its end.
        """
        if self.has_enough:
            return bytes(self._body[: self._wanted_bytes])
        for step in self._steps:
            step.coding.end()
        return bytes(self._body)

    def _undone(self, data: bytes, number: int) -> Iterator[bytes]:
        if number == len(self._steps):
            yield data
            return
        step = self._steps[number]
        for piece in step.coding.undo(data):
            step.size += len(piece)
            if number + 1 < len(self._steps):
                self._limit(step.size)
            yield from self._undone(piece, number + 1)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        if not self.has_enough:
            self._limit(self._size)

    def _limit(self, size: int) -> None:
        if size > self._limit_bytes:
            raise TooLong(f"body above {self._limit_bytes} bytes")
        if size > FREE_BYTES and size > MAX_RATIO * self.wire_bytes:
            raise TooLong(f"body above {MAX_RATIO} times what was sent")


@dataclass(slots=True)
class _Step:
    coding: Coding
    size: int = 0  #: bytes that it gave
