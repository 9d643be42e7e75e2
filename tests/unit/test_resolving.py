"""References become the URLs that joining gives, whatever is remembered and however plain they are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawl_consumer import resolving
from crawl_consumer.resolving import (
    REMEMBERED,
    REMEMBERED_CHARS,
    folder,
    remembered,
    resolve,
    with_encoded_query,
)
from crawl_dedup.canonical import MAX_URL_CHARS, join
from crawl_dedup.errors import UrlInvalid


@pytest.mark.parametrize(
    ("href", "encoding", "encoded"),
    [
        ("/ü?q=ü", "windows-1252", "/ü?q=%FC"),
        ("/ü", "windows-1252", "/ü"),
        ("?q=한", "cp949", "?q=%C7%D1"),
        ("?q=한", "windows-1252", "?q=%26%2354620%3B"),
        ("?q=a b", "windows-1252", "?q=a b"),
        pytest.param(f"?q={'ü' * 3000}", "windows-1252", f"?q={'ü' * 3000}", id="far too long for any URL"),
    ],
)
def test_a_query_is_sent_in_the_page_s_own_encoding(href, encoding, encoded):
    assert with_encoded_query(href, encoding) == encoded


BASES = st.sampled_from(
    [
        "http://h.example/",
        "http://h.example/a/b?c=/d/e",
        "https://h.example:8/a//",
        "http://h.example/?",
        "http://[::1]/x",
    ]
)
HREFS = st.lists(
    st.sampled_from(
        [*"a.:/\\?#@%[] \t\n\x00ü_~-", "..", "../", "b/", "//", "http:", "https://", "mailto:", "HTTP:", "%2e"]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=3000)
@given(BASES, HREFS)
def test_a_url_is_the_one_that_joining_gives(base, href):
    def outcome(function, *arguments):
        try:
            return function(*arguments)
        except UrlInvalid as error:
            return str(error)

    assert outcome(resolve, base, folder(base), href) == outcome(join, base, href)


@pytest.mark.parametrize("detour", ["", "./" * 10_000])
def test_what_a_folder_is_remembered_by_is_bounded_in_number_and_length(detour):
    base = f"https://h.example/bounded{len(detour)}/"
    for n in range(REMEMBERED + 10):
        assert resolve(base, base, f"{detour}{n}") == f"{base}{n}"
        known = remembered(base)
        assert len(known) <= REMEMBERED
    assert len(known) == (0 if detour else 10)
    assert sum(len(href) + len(url) for href, url in known.items()) <= len(known) * REMEMBERED_CHARS


def test_a_plain_reference_is_appended_and_not_parsed(monkeypatch):
    def parsed(base, href):
        raise AssertionError(f"{href} at {base} is parsed")

    monkeypatch.setattr(resolving, "join", parsed)
    at = "https://h.example/plain/b/"
    assert resolve(at, at, "c_d/e-f~1.html") == at + "c_d/e-f~1.html"
    assert resolve(at, at, "../../../c") == "https://h.example/c"


def test_a_plain_reference_that_makes_too_long_a_url_is_none():
    at = "https://h.example/" + "long/" * 100
    with pytest.raises(UrlInvalid, match="too_long"):
        resolve(at, at, "x" * MAX_URL_CHARS)
