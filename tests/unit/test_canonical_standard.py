"""The URL standard's own cases, where its test data is at hand (CRAWL_CORPORA), else a few like them."""

from collections import Counter

import pytest

from standards import URLS, url_case, url_cases

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
    if not URLS.exists():
        return pytest.param(_A_FEW, id="built in, for CRAWL_CORPORA is not there")
    return pytest.param(url_cases(), id="of the standard")


@pytest.mark.parametrize("cases", [_cases()])
def test_urls_are_parsed_as_the_standard_says(cases):
    answers = [url_case(*case) for case in cases]
    assert [case for case in answers if not case.passes] == []
    kinds = Counter(case.kind for case in answers)
    assert all(kinds[kind] >= 2 for kind in ("url", "refused", "scheme"))
