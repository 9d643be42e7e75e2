"""Targets that read messages: ours, those of other systems, and their headers."""

import json
import struct
from typing import cast

from pika import BasicProperties
from pika.frame import Header

from crawl_dev.fuzz.target import Target, chosen, surely
from crawl_dev.fuzz.urls import canonical
from crawl_producer import dead_render
from crawl_producer.amqp import frames
from crawl_producer.amqp.acknowledgements import Acknowledgements
from crawl_producer.amqp.delivery import AmqpDelivery, Settlements
from crawl_producer.dead_letters import Letter, Wanted
from crawl_producer.errors import MessageInvalid
from crawl_producer.message import MAX_ENCODED_BYTES, UrlMessage
from crawl_producer.seal import Seal
from crawl_producer.seeds import Rejected
from crawl_producer.sources import written

_SEAL = Seal(["k" * 32])
_END = b"\xce"
_NOT_TO_SETTLE = cast("Acknowledgements", None)


def _message(data: bytes) -> None:
    try:
        message = UrlMessage.decode(data)
    except MessageInvalid as error:
        surely(len(str(error)) < MAX_ENCODED_BYTES, "the reason is longer than a message")
        str(error).encode("utf-8", "backslashreplace")
    else:
        message.expired()
        message.early_ms()
        _holds(message)
    try:
        canonical(UrlMessage.read(data, crawl="c").url)
    except MessageInvalid:
        return


def _holds(message: UrlMessage) -> None:
    body = message.encode()
    if message.room_bytes < 0:
        return  # it is never published again
    surely(len(body) <= MAX_ENCODED_BYTES, "encoded it is too long")
    again = UrlMessage.decode(body)
    kept = {"parent": again.parent, "reason": again.reason}
    surely(again == message.model_copy(update=kept), "decoded again it is another message")


def _written(data: bytes) -> None:
    """What lies in an inbox or a Redis key."""
    seed = written.read(1, data, "test")
    if isinstance(seed, Rejected):
        seed.reason.encode()
        return
    canonical(seed.url)


def _amqp_headers(data: bytes) -> None:
    """The properties of a message, as a stranger has filled them."""
    headers = _properties(data).headers or {}
    surely(isinstance(headers, dict), "no headers")
    surely(bool(_SEAL.doubt(headers, b"{}")), "a message without our key is believed")


def _dead_letter(data: bytes) -> None:
    """Body, and properties as above: what crawl-dead prints of it."""
    body, data = chosen(data, _BODIES)
    delivery = AmqpDelivery("work", body, False, _properties(data), _NOT_TO_SETTLE, 1, Settlements())
    letter = Letter.of(delivery, queue="work", crawl="c")
    surely(dead_render.line(letter).isprintable(), "a line that is more than text")
    whole = dead_render.whole(delivery, letter)
    json.dumps(whole, allow_nan=False).encode()
    surely(dead_render.fields(whole).replace("\n", "").isprintable(), "fields that are more than text")
    for wanted in (Wanted(reason="http_*", host="*"), Wanted(died_before_ms=1 << 40), Wanted(id="x")):
        wanted.takes(letter)


def _properties(data: bytes) -> BasicProperties:
    payload = struct.pack(">HHQ", 60, 0, 5) + data
    frame = struct.pack(">BHL", 2, 1, len(payload)) + payload + _END
    size, read = frames.read(frame)
    surely(size == len(frame), "another size")
    surely(isinstance(read, Header), "another frame")
    return cast("Header", read).properties


_MESSAGES = (
    (
        b'{"v":1,"crawl":"c","url":"https://example.org/?a=b","depth":2,"root":"example.org","parent":"http://p.example/",'
        b'"attempt":1,"first_seen_ms":1784000000000,"not_before_ms":1,"expires_ms":2,"reason":"http 503","status":503}'
    ),
    b'{"crawl":"c","url":"http://e.org/","to":"article","route":["x","k"],"priority":3,"meta":"{\\"a\\":[1.5,null]}"}',
    b'{"crawl":"c","url":"http://e.org/","at_address":true,"deferrals":7,"redirects":3}',
)
_SEEDS = (
    b"https://example.org/", b'{"url":"https://example.org/","depth":1,"meta":{"a":{"b":[1]}},"to":"x","priority":2}',
    b'{"url":"http://e.org/","method":"GET","route":["x","k"]}', b'\xef\xbb\xbf {"url":"http://e.org/","meta":{"\\ud800":1}}',
)  # fmt: skip
_JSON = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"true", b"null",
    b'"meta":', b'"url":', b'"route":', b'"priority":', b'"to":', b'"v":2', b'"depth":-1', b"9" * 40, b"\\", b"\xff",
)  # fmt: skip
_BODIES = (_MESSAGES[0], b"\xff\x1b[2J", b"{}", b'{"v":9}')


def _table(*fields: bytes) -> bytes:
    """Properties that are headers alone."""
    return struct.pack(">HL", 0x2000, len(b"".join(fields))) + b"".join(fields)


_DIED = b"\x0dcrawl-died-msl" + (1784000000000).to_bytes(8, "big")
_REASON = b"\x0ccrawl-reasonS\0\0\0\x0dhttp_503: x\x1b["
_DEATH = b"\x07x-deathA\0\0\0\x1eF\0\0\0\x19\x04timeT\0\0\0\0\x66\0\0\0\x06reasonS\0\0\0\0"
_HEADERS = (_table(_DIED, _REASON), _table(_DEATH), _table(b"\x01aS\0\0\0\x01x", b"\x01bI\0\0\0\x01", b"\x01dV"))
_FIELDS = (
    b"A", b"F", b"T\xff\xff\xff\xff\xff\xff\xff\xff", b"S\xff\xff\xff\xff", b"\0\0\0\x05", b"\x01aA", b"D", b"x", b"d",
    b"\x7f\xf0" + bytes(6), b"l\x7f" + b"\xff" * 7, b"L\x80" + bytes(7), b"t\x02",
)  # fmt: skip

TARGETS = (
    Target("message", _message, _MESSAGES, _JSON),
    Target("written", _written, _SEEDS, _JSON, max_bytes=written.MAX_BYTES + 64),
    Target(
        "amqp-headers",
        _amqp_headers,
        (*_HEADERS, b"\xf8\0\x0atext/plain\x04gzip"),
        _FIELDS,
    ),
    Target("dead-letter", _dead_letter, [b"\0" + headers for headers in _HEADERS], _FIELDS),
)
