"""URL messages from somebody who may write to the broker, and whatever else he puts around them."""

import json
import struct

import pytest
from pika import BasicProperties, frame, spec
from pydantic import ValidationError

from crawl_consumer.successors import buried
from crawl_producer.amqp import frames
from crawl_producer.amqp.delivery import AmqpDelivery, Settlements
from crawl_producer.dead_letters import Letter
from crawl_producer.errand import Errand
from crawl_producer.errors import MessageInvalid, TopologyInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.seal import HEADER, Seal
from crawl_producer.topology import Connection, CrawlSpec

START = '{"v":1,"crawl":"c","url":"https://a.example/"'
KEY, OTHER = "k" * 32, "o" * 32


@pytest.mark.parametrize(
    "rest",
    [
        ',"meta":{"a":NaN}',
        ',"meta":{"a":[1,{"b":-Infinity}]}',
        ',"meta":{"a":1e999}',
        f',"meta":{{"a":{"[" * 400}{"]" * 400}}}',
        f',"depth":{"9" * 3000}',
        ',"depth":1e3',
        ',"depth":true',
        ',"root":"\\ud800"',
        ',"root":"\ud800"',
        ',"root":"a b"',
        ',"root":"a\\u001b[2Jb"',
        ',"route":["x","a\\nb"]',
        ',"route":["x\\n","a"]',
        f',"route":["x","{"é" * 128}"]',
        ',"priority":99999999999',
        ',"to":"__class__"',
        ',"to":"parse\\n"',
        ',"at_address":"yes"',
        ',"\\u001b]0;x\\u0007":1',
        ',"url":"https://user:pass@a.example/"',
        ',"url":"https://a.example/\\r\\nHost: b"',
        ',"url":"file:///etc/passwd"',
        ',"crawl":"d"',
        ',"v":2',
        "} {",
    ],
)
def test_what_is_no_honest_message_is_refused_and_nothing_else_happens(rest):
    body = (START + rest + "}").encode("utf-8", "surrogatepass")
    with pytest.raises(MessageInvalid):
        UrlMessage.read(body, crawl="c")


def test_of_a_field_that_stands_twice_everybody_reads_the_last():
    body = START.encode() + b',"url":"https://b.example/"}'
    assert UrlMessage.read(body, crawl="c").url == json.loads(body)["url"] == "https://b.example/"


def test_integers_of_any_size_in_a_meta_are_kept():
    body = f'{START},"meta":{{"a":{"9" * 900}}}}}'.encode()
    message = UrlMessage.read(body, crawl="c")
    assert UrlMessage.decode(message.encode()).meta == message.meta == {"a": int("9" * 900)}


@pytest.mark.parametrize("route", ["a\nb", ("x", "a\x00"), ("x\n", "a"), "\u2028", "\ud800"])
def test_a_route_made_from_a_page_holds_no_line_breaks(route):
    # Exchange, key and message lie in an outbox with line breaks between them.
    with pytest.raises(ValueError, match="route"):
        Errand.of(to=None, route=route, priority=None, meta=None)


def test_neither_does_one_of_the_file():
    with pytest.raises(ValidationError, match="a control character in a routing key"):
        CrawlSpec.model_validate({"exchange": "x", "key": "a\nb"})


def header_frame(table: bytes) -> bytes:
    payload = struct.pack(">HHQ", 60, 0, 5) + struct.pack(">HI", BasicProperties.FLAG_HEADERS, len(table)) + table
    return struct.pack(">BHL", spec.FRAME_HEADER, 1, len(payload)) + payload + bytes([spec.FRAME_END])


def nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


@pytest.mark.parametrize(
    "value",
    [
        b"T" + struct.pack(">Q", 1 << 63), b"T" + struct.pack(">Q", 10**12), nested(20_000), b"?",
        b"d" + struct.pack(">d", float("nan")),
    ],
    ids=["no time", "the year 33658", "nested", "an unknown kind", "no number"],
)  # fmt: skip
def test_headers_that_cannot_be_read_cost_the_message_its_headers_and_not_the_connection(value):
    data = header_frame(b"\x01a" + value)
    size, came = frames.read(data + b"rest")
    assert size == len(data)
    assert (came.body_size, came.channel_number) == (5, 1)
    assert list(came.properties.headers) == [frames.UNREADABLE]
    assert came.properties.message_id is None
    # As long as this says so, frames.py has a reason to be.
    with pytest.raises((ValueError, OverflowError, RecursionError, Exception)):
        frame.decode_frame(data)


def test_frames_of_other_kinds_and_incomplete_ones_are_left_to_pika():
    data = header_frame(b"\x01aV")
    assert frames.read(data[:-1]) == (0, None)
    assert frames.read(data)[1].properties.headers == {"a": None}
    unknown_method = struct.pack(">BHL", spec.FRAME_METHOD, 1, 4) + b"\xff\xff\xff\xff" + bytes([spec.FRAME_END])
    with pytest.raises(KeyError):
        frames.read(unknown_method)


def delivery(seal=None, body=b"x", **properties):
    return AmqpDelivery("q", body, False, BasicProperties(**properties), None, 1, Settlements(), seal)


def test_an_id_that_is_no_text_is_short_enough_to_be_published_again():
    assert len(delivery(message_id=b"\xff" * 255).message_id.encode()) <= 255
    assert delivery(message_id="ü" * 127).message_id == "ü" * 127


def test_a_seal_is_believed_from_every_key_and_made_with_the_first():
    new, old, stranger = Seal([KEY, OTHER]), Seal([OTHER]), Seal(["s" * 32])
    assert new.of(b"x") == Seal([KEY]).of(b"x")
    assert new.doubt({HEADER: old.of(b"x")}, b"x") == new.doubt({HEADER: new.of(b"x")}, b"x") == ""
    assert "no key of ours" in old.doubt({HEADER: new.of(b"x")}, b"x")
    assert "no key of ours" in new.doubt({HEADER: stranger.of(b"x")}, b"x")
    assert "no key of ours" in new.doubt({HEADER: new.of(b"x")}, b"y")


@pytest.mark.parametrize("header", [None, b"\xff", 7, ["a"], {"a": 1}, True, "é", "\ud800"])
def test_whatever_is_no_seal_is_none(header):
    assert Seal([KEY]).doubt({HEADER: header} if header is not None else {}, b"x") == "it has no seal"


def test_without_a_key_nobody_is_asked_for_a_seal_and_with_one_everybody_is():
    assert delivery().doubt == ""
    assert delivery(Seal([KEY])).doubt == "it has no seal"
    assert delivery(Seal([KEY]), headers={HEADER: Seal([KEY]).of(b"x")}).doubt == ""


def test_a_message_that_is_doubted_is_not_even_decoded():
    with pytest.raises(MessageInvalid, match="it has no seal"):
        UrlMessage.read(b"no json", crawl="c", doubt="it has no seal")


def test_a_letter_keeps_the_seal_of_a_message_that_its_reader_could_not_read():
    ours, theirs = Seal([KEY]), Seal([OTHER])
    body = UrlMessage(crawl="c", url="https://a.example/").encode()
    came = delivery(theirs, body, headers={HEADER: ours.of(body), "x-strange": "a"})
    letter = buried(came, f"unsealed: {came.doubt}")
    assert (letter.sealed, "x-strange" in letter.headers) == (False, False)
    found = Letter.of(delivery(ours, letter.body, headers=dict(letter.headers)), queue="q", crawl="c")
    assert (found.kind, found.url, found.outcome) == ("unsealed", "https://a.example/", "")


@pytest.mark.parametrize(
    "header", [None, b"\xff", 7, ["a"], {"a": 1}, "é" * 64, "\ud800", "a" * 63, "A" * 64, "f" * 65]
)
def test_a_letter_keeps_nothing_that_is_no_seal(header):
    assert HEADER not in buried(delivery(headers={HEADER: header}), "undecodable: x").headers


def test_keys_are_long_and_never_shown():
    with pytest.raises(ValidationError, match="32 characters at least") as short:
        Connection(message_keys=("a-secret",))
    assert "a-secret" not in str(short.value.errors(include_input=False))
    connection = Connection(message_keys=(KEY,))
    assert KEY not in f"{connection!r} {connection.seal()!r}"


def test_a_sealed_crawl_refuses_a_command_without_a_key():
    with pytest.raises(TopologyInvalid, match="no key") as refused:
        Connection(sealed=True).seal()
    assert "CRAWL_MESSAGE_KEY" in refused.value.remedy
    assert Connection(sealed=True, message_keys=(KEY,)).seal() is not None
