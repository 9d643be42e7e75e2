"""What other systems write to be crawled, in both forms."""

import json
import re

import pytest

from crawl_producer.errand import Errand
from crawl_producer.errors import RouteInvalid
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources.written import MAX_BYTES, read


@pytest.mark.parametrize(
    ("body", "seed"),
    [
        (b" HTTPS://E.org/a b#x\n", Seed(1, "https://e.org/a%20b")),
        (b'{"url": "https://e.org/"}', Seed(1, "https://e.org/")),
        (b'{"url": "https://e.org/", "depth": 2, "other": [1]}', Seed(1, "https://e.org/", depth=2)),
        (b'{"url": "https://e.org/", "method": "get", "cookie": 1, "meta": null}', Seed(1, "https://e.org/")),
        (
            b'{"url": "https://e.org/", "meta": {"job": 1}, "to": "article", "route": "dated", "priority": 3}',
            Seed(1, "https://e.org/", errand=Errand("article", ("", "dated"), 3, '{"job":1}')),
        ),
        (
            b'{"url": "https://e.org/", "depth": 1, "route": ["crawl.news", "front"]}',
            Seed(1, "https://e.org/", depth=1, errand=Errand(route=("crawl.news", "front"))),
        ),
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
        (b'{"url": "https://e.org/", "meta": [1]}', "meta"),
        (b'{"url": "https://e.org/", "meta": "x"}', "meta"),
        (b'{"url": "https://e.org/", "meta": {"n": NaN}}', "meta"),
        (b'{"url": "https://e.org/", "meta": {"\\ud800": []}}', "meta"),
        (b'{"url": "https://e.org/", "meta": {"a": "' + b"x" * 1024 + b'"}}', "meta"),
        (b'{"url": "https://e.org/", "to": "_private"}', "to"),
        (b'{"url": "https://e.org/", "to": 1}', "to"),
        (b'{"url": "https://e.org/", "priority": 0}', "priority"),
        (b'{"url": "https://e.org/", "priority": "3"}', "priority"),
        (b'{"url": "https://e.org/", "route": ["a", "b", "c"]}', "route"),
        (b'{"url": "https://e.org/", "route": ["a b", "k"]}', "route"),
        (b'{"url": "https://e.org/", "route": {}}', "route"),
        (b'{"url": "https://e.org/", "route": "k\\n"}', "route"),
        (b'{"url": "https://e.org/", "meta": {"a": ' + b"[" * 210 + b"]" * 210 + b"}}", "meta"),
        (b"https://e.org/" + b"a" * 3000, "too_long"),
        (b"https://e.org/ " + b" " * MAX_BYTES, "too_long"),
    ],
)
def test_anything_else_is_rejected_with_a_word(body, reason):
    rejected = read(7, body, "key")
    assert isinstance(rejected, Rejected)
    assert (rejected.line, rejected.source) == (7, "key")
    assert re.split("[:.]", rejected.reason)[0] == reason
    assert len(rejected.text) <= 200
    assert rejected.reason.encode()


class Nowhere:
    def check(self, errands):
        raise RouteInvalid(f"{[errand.route for errand in errands]} leads nowhere")


def test_a_route_is_looked_at_before_the_url_is_taken():
    rejected = read(1, b'{"url": "https://e.org/", "route": "k"}', "key", Nowhere())
    assert rejected.reason == "route: [('', 'k')] leads nowhere"
    assert read(1, b'{"url": "https://e.org/"}', "key", Nowhere()) == Seed(1, "https://e.org/")


def test_an_errand_leaves_its_url_the_room_that_its_retries_need():
    meta = {"m": "x" * 1000}
    fits = read(1, json.dumps({"url": "https://e.org/" + "a" * 2000, "meta": meta}).encode(), "key")
    assert isinstance(fits, Seed)
    said = {"to": "a", "route": ["e" * 200, "k" * 255], "meta": meta}
    long = read(1, json.dumps({"url": "https://e.org/" + "a" * 2060, **said}).encode(), "key")
    assert long.reason == "too_long"
