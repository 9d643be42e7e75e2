"""Canonical URLs: what is kept, what is dropped, and why a text is no URL to crawl."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_dedup import MAX_URL_CHARS, UrlInvalid, canonicalize, host, join
from crawl_dedup.canonical import MAX_INPUT_CHARS

PAGE = "https://example.org/a/b?c=d"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("http://example.org", "http://example.org/"),
        ("HTTP://EXAMPLE.org:80/A/../b", "http://example.org/b"),
        ("https://example.org:443/", "https://example.org/"),
        ("https://example.org:8443/", "https://example.org:8443/"),
        ("  https://example.org/\n", "https://example.org/"),
        ("https://example.org/a\tb\nc", "https://example.org/abc"),
        ("https://example.org/a b", "https://example.org/a%20b"),
        ("https://example.org/#top", "https://example.org/"),
        ("https://example.org/a #top", "https://example.org/a%20"),
        ("https://example.org/?#", "https://example.org/?"),
        ("https://example.org/?a=1#b#c", "https://example.org/?a=1"),
        ("https://user:secret@example.org/", "https://example.org/"),
        ("http://user@example.org", "http://example.org/"),
        ("http://u@v@example.org/w@x", "http://example.org/w@x"),
        ("https://example.org/@somebody", "https://example.org/@somebody"),
        ("https://example.org/?mail=a@b", "https://example.org/?mail=a@b"),
        ("http://a@example.org?b@c", "http://example.org/?b@c"),
        ("http:\\\\example.org\\a", "http://example.org/a"),
        ("http://BÜCHER.example/straße", "http://xn--bcher-kva.example/stra%C3%9Fe"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://127%2E0%2e0.1/", "http://127.0.0.1/"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
        ("http://[2001:DB8::0:1]:80/", "http://[2001:db8::1]/"),
        ("https://example.org./", "https://example.org./"),
        ("https://example.org/%7Ea", "https://example.org/%7Ea"),
    ],
)
def test_one_resource_has_one_text(text, canonical):
    assert canonicalize(text) == canonical
    assert canonicalize(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://example.org/", "scheme"),
        ("mailto:someone@example.org", "scheme"),
        ("javascript:alert(1)//http://example.org", "scheme"),
        ("data:text/html,<p>", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("ws://example.org/", "scheme"),
        ("https://", "no_host"),
        ("http:///?q", "no_host"),
        ("http:", "no_host"),
        ("example.org", "syntax"),
        ("/a/b", "syntax"),
        ("", "syntax"),
        ("http://a b/", "syntax"),
        ("http://example.org:99999/", "syntax"),
        ("http://[::1/", "syntax"),
        ("http://exa%00mple.org/", "syntax"),
        ("http://\ud800/", "syntax"),
        ("https://example.org/" + "a" * MAX_URL_CHARS, "too_long"),
        ("https://example.org/" + "é" * (MAX_URL_CHARS // 6), "too_long"),
        ("x" * (MAX_INPUT_CHARS + 1), "too_long"),
    ],
)
def test_what_is_no_url_is_named_in_a_word_to_count_by(text, reason):
    with pytest.raises(UrlInvalid) as caught:
        canonicalize(text)
    assert str(caught.value) == reason


def test_the_longest_url_is_the_longest_that_a_message_has_room_for():
    url = "https://example.org/" + "a" * (MAX_URL_CHARS - len("https://example.org/"))
    assert canonicalize(url) == url
    assert canonicalize(url + "#" + "b" * 5000) == url
    with pytest.raises(UrlInvalid, match="too_long"):
        canonicalize(url + "a")
    with pytest.raises(UrlInvalid, match="too_long"):
        join(PAGE, "/abcdefghij", max_chars=20)


@pytest.mark.parametrize(
    ("href", "canonical"),
    [
        ("", "https://example.org/a/b?c=d"),
        ("#fragment", "https://example.org/a/b?c=d"),
        ("?e", "https://example.org/a/b?e"),
        ("e", "https://example.org/a/e"),
        ("../../../e", "https://example.org/e"),
        ("//other.example/e", "https://other.example/e"),
        ("//user:secret@other.example/e", "https://other.example/e"),
        ("http:e", "http://e/"),
        ("https:e", "https://example.org/a/e"),
        ("HTTP://Other.Example", "http://other.example/"),
        (" \n e#f ", "https://example.org/a/e"),
        ("é?é#é", "https://example.org/a/%C3%A9?%C3%A9"),
    ],
)
def test_links_are_joined_as_browsers_join_them(href, canonical):
    assert join(PAGE, href) == canonical


@pytest.mark.parametrize(
    ("href", "reason"),
    [
        ("mailto:a@b", "scheme"),
        ("JavaScript:void(0)", "scheme"),
        ("tel:+1", "scheme"),
        ("//", "syntax"),
        ("http://", "no_host"),
        ("http://a:b:c/", "syntax"),
        ("data:," + "x" * MAX_INPUT_CHARS, "too_long"),
    ],
)
def test_links_that_lead_nowhere_are_counted_by_reason(href, reason):
    with pytest.raises(UrlInvalid) as caught:
        join(PAGE, href)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/", "example.org"),
        ("http://example.org:8080/a:b", "example.org"),
        ("http://127.0.0.1:5/", "127.0.0.1"),
        ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]"),
    ],
)
def test_the_host_is_the_name_without_its_port(url, name):
    assert host(url) == name


@given(st.text() | st.text(alphabet="htp:s/\\@#?%.[] aé\t\ud800").map("http://".__add__))
def test_whatever_comes_the_answer_is_canonical_ascii_or_a_known_reason(text):
    for attempt in (lambda: canonicalize(text), lambda: join(PAGE, text)):
        url = _url_or_reason(attempt)
        if url in {"scheme", "no_host", "syntax", "too_long"}:
            continue
        assert re.fullmatch(r"https?://[!-~]+", url)
        assert "#" not in url
        assert canonicalize(url) == url
        assert join("https://elsewhere.example/x", url) == url
        assert host(url)


def _url_or_reason(attempt):
    try:
        return attempt()
    except UrlInvalid as invalid:
        return str(invalid)
