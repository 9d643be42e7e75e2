"""What other systems write to be crawled, in both forms."""

import pytest

from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources.written import MAX_BYTES, read


@pytest.mark.parametrize(
    ("body", "seed"),
    [
        (b" HTTPS://E.org/a b#x\n", Seed(1, "https://e.org/a%20b")),
        (b'{"url": "https://e.org/"}', Seed(1, "https://e.org/")),
        (b'{"url": "https://e.org/", "depth": 2, "other": [1]}', Seed(1, "https://e.org/", depth=2)),
        (b'{"url": "https://e.org/", "method": "get", "meta": {"job": 1}}', Seed(1, "https://e.org/")),
        ("\ufeffhttps://e.org/ä".encode(), Seed(1, "https://e.org/%C3%A4")),
    ],
)
def test_a_url_as_text_or_in_an_object(body, seed):
    assert read(1, body, "key") == seed


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "syntax"),
        (b"nonsense", "syntax"),
        (b"ftp://e.org/", "scheme"),
        (b"\xff\xfe", "syntax"),
        (b"{", "json"),
        (b'{"url":' + b"[" * 30_000, "json"),
        (b'{"uri": "https://e.org/"}', "no_url"),
        (b'{"url": 3}', "no_url"),
        (b'{"url": "https://e.org/", "method": "POST"}', "method"),
        (b'{"url": "https://e.org/", "depth": -1}', "depth"),
        (b'{"url": "https://e.org/", "depth": true}', "depth"),
        (b"https://e.org/" + b"a" * 3000, "too_long"),
        (b"https://e.org/ " + b" " * MAX_BYTES, "too_long"),
    ],
)
def test_anything_else_is_rejected_with_a_word(body, reason):
    rejected = read(7, body, "key")
    assert isinstance(rejected, Rejected)
    assert (rejected.line, rejected.reason, rejected.source) == (7, reason, "key")
    assert len(rejected.text) <= 200
