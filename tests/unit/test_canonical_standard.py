"""The URL standard's own cases, where its test data is at hand (CRAWL_CORPORA), else a few like them."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from crawl_dedup import UrlInvalid, canonicalize, join

_CORPORA = Path(os.environ.get("CRAWL_CORPORA") or Path(__file__).parents[3] / "shared" / "corpora")

#: (input, base, href or None for failure), as in url/resources/urltestdata.json of web-platform-tests.
_A_FEW = [
    ("http://ex\tam\nple.org", "http://example.org/foo/bar", "http://example.org/"),
    (
        "http://user:pass@foo:21/bar;par?b#c",
        "http://example.org/foo/bar",
        "http://user:pass@foo:21/bar;par?b#c",
    ),
    ("http:foo.com", "http://example.org/foo/bar", "http://example.org/foo/foo.com"),
    ("http://f:00000000000080/c", "http://example.org/foo/bar", "http://f/c"),
    ("http://f:b/c", "http://example.org/foo/bar", None),
    ("http://f:65536/c", "http://example.org/foo/bar", None),
    ("///x/", "http://example.org/foo/bar", "http://x/"),
    ("/a/ /c", "http://example.org/foo/bar", "http://example.org/a/%20/c"),
    ("http://www.example.com/foo/%2E%2E%2Fbar", None, "http://www.example.com/foo/%2E%2E%2Fbar"),
    ("http://1.2.3.08", None, None),
    ("http://192.0x00A80001", None, "http://192.168.0.1/"),
    ("http://[::127.0.0.1]", "http://example.org/foo/bar", "http://[::7f00:1]/"),
    ("file:///tmp/mock/path", None, "file:///tmp/mock/path"),
    ("mailto:x@x.com", "http://example.org/foo/bar", "mailto:x@x.com"),
    ("http://GOO\u200b\u2060\ufeffgoo.com", "http://other.com/", "http://googoo.com/"),
]


def _cases():
    """Input, base and the serialised URL (None for failure); the test's name says whose."""
    table = _CORPORA / "wpt" / "urltestdata.json"
    if not table.exists():
        return pytest.param(_A_FEW, id="built in, for CRAWL_CORPORA is not there")
    cases = [case for case in json.loads(table.read_text(encoding="utf-8")) if isinstance(case, dict)]
    return pytest.param([(case["input"], case["base"], case.get("href")) for case in cases], id="of the standard")


def _expected(href):
    """What we make of the standard's serialisation: no fragment, no credentials, http and https only."""
    if href is None:
        return "invalid"
    scheme, _, rest = href.partition("#")[0].partition("://")
    if scheme not in {"http", "https"}:
        return "scheme"
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _answer(text, base):
    try:
        return join(base, text) if base is not None else canonicalize(text)
    except UrlInvalid as invalid:
        return str(invalid)


@pytest.mark.parametrize("cases", [_cases()])
def test_urls_are_parsed_as_the_standard_says(cases):
    wrong, kinds = [], Counter()
    for text, base, href in cases:
        expected, answer = _expected(href), _answer(text, base)
        kinds[expected if expected in {"invalid", "scheme"} else "url"] += 1
        same = answer in {"scheme", "syntax", "no_host"} if expected == "invalid" else answer == expected
        if not same:
            wrong.append((text, base, expected, answer))
    assert not wrong
    assert all(kinds[kind] >= 2 for kind in ("url", "invalid", "scheme"))
