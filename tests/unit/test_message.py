import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_producer.errors import MessageInvalid
from crawl_producer.message import MAX_ENCODED_BYTES, MAX_URL_CHARS, UrlMessage

URL = "https://example.org/a"


def test_a_message_survives_encoding():
    message = UrlMessage(
        crawl="docs", url=URL, depth=3, root="example.org", parent="https://example.org/", attempt=2,
        redirects=1, first_seen_ms=1_700_000_000_000, not_before_ms=1_700_000_001_000, deferrals=3,
        at_address=True, reason="timeout", status=503,
    )  # fmt: skip
    assert UrlMessage.decode(message.encode()) == message


def test_the_version_is_always_written_and_defaults_are_not():
    assert json.loads(UrlMessage(crawl="docs", url=URL).encode()) == {"v": 1, "crawl": "docs", "url": URL}


def test_two_urls_of_the_longest_kind_fit_because_the_parent_is_left_out():
    longest = "https://example.org/" + "a" * (MAX_URL_CHARS - 20)
    message = UrlMessage(crawl="c" * 200, url=longest, parent=longest, root="r" * 253)
    encoded = message.encode()
    assert len(encoded) <= MAX_ENCODED_BYTES
    assert UrlMessage.decode(encoded) == message.model_copy(update={"parent": None})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"[]", "body: Input should be an object"),
        (b'{"v":2,"crawl":"docs","url":"https://example.org/"}', "v: Input should be 1"),
        (b'{"crawl":"docs"}', "url: Field required"),
        (b'{"crawl":"docs","url":"https://example.org/","pickle":1}', "pickle: Extra inputs"),
        (
            b'{"crawl":"docs","url":"https://example.org/","depth":"3"}',
            "depth: Input should be a valid integer",
        ),
        (b'{"crawl":"docs","url":"https://example.org/","depth":-1}', "depth: Input should be greater"),
        (b'{"crawl":"docs","url":"ftp://example.org/"}', "url: String should match"),
        (b'{"crawl":"docs","url":"https://exa mple.org/"}', "url: String should match"),
        (b'{"crawl":"docs","url":"https://example.org/' + b"a" * 5000 + b'"}', "message of"),
    ],
)
def test_whatever_is_no_message_is_refused_with_the_reason(body, reason):
    with pytest.raises(MessageInvalid) as refused:
        UrlMessage.decode(body)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(body):
    with suppress(MessageInvalid):
        UrlMessage.decode(body)
