"""URLs in the shape of a trap are refused with their reason, and those of honest sites are not."""

from collections import Counter
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_dedup import UrlInvalid, canonicalize
from crawl_dedup.session_ids import is_session_id
from crawl_producer.scope import Scope
from crawl_producer.topology import ScopeSpec
from crawl_producer.trap_shapes import TrapShapes

HOME = "https://example.org/"
PHP = "?PHPSESSID=0123456789abcdef0123456789"


def refusal(url, **rules):
    return Scope(ScopeSpec(**rules)).refusal(url, depth=1, root="example.org")


@pytest.mark.parametrize(
    ("path", "rules", "reason"),
    [
        ("", {}, None),
        ("/".join("abcdefghijklmnopqrst"), {}, None),
        ("/".join("abcdefghijklmnopqrst") + "/", {}, None),
        ("/".join("abcdefghijklmnopqrstu"), {}, "path_segments"),
        ("/".join("abcdefghijklmnopqrstu"), {"max_path_segments": None}, None),
        ("a/b", {"max_path_segments": 1}, "path_segments"),
        ("a/", {"max_path_segments": 1}, None),
        ("a?next=/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21", {}, None),
        ("tiles/0/0/0/0.png", {}, None),
        ("files/00/00/00/00/17", {}, None),
        ("a/b/a/b/a/b/a/b", {}, None),
        ("a/b/a/b/a/b/a/b/a", {}, "same_segment"),
        ("a/b/a/b/a/b/a/b/a", {"max_same_segment": 5}, None),
        ("a/b/a/b/a/b/a/b/a", {"max_same_segment": None}, None),
        ("a/x/a/y/a/z/a/w/a", {}, "same_segment"),
        ("a/A/%61/a/a/a", {}, None),
        ("a//////b", {}, "same_segment"),
        ("a/b/a", {"max_same_segment": 1}, "same_segment"),
        ("?" + "&".join(f"p{n}=1" for n in range(30)), {}, None),
        ("?" + "&".join(f"p{n}=1" for n in range(31)), {}, "query_parameters"),
        ("?" + "&".join(f"p{n}=1" for n in range(31)), {"max_query_parameters": None}, None),
        ("?a=1", {"max_query_parameters": 1}, None),
        ("?a=1&b", {"max_query_parameters": 1}, "query_parameters"),
        ("&".join("abcdefghijklmnopqrstuvwxyzabcdefghi"), {}, None),
        (PHP, {}, None),
        (PHP, {"session_ids": False}, "session_id"),
        ("a;jsessionid=0A1B?x=1", {"session_ids": False}, "session_id"),
        ("a;v=1/b;v=2?x=1", {"session_ids": False}, None),
        ("?x=1&ASPSESSIONIDAQBSDSRT=EOHBLBDDPFCLHKPGGKLILNAM", {"session_ids": False}, "session_id"),
        ("?x=1&sid=9682993c8daa2c5497996114facdc805", {"session_ids": False}, "session_id"),
        ("?x=1&sid=1234", {"session_ids": False}, None),
        ("?session_id=keynote-on-tuesday", {"session_ids": False}, None),
        ("?next=PHPSESSID", {"session_ids": False}, None),
    ],
)
def test_a_trap_is_known_by_its_shape(path, rules, reason):
    assert refusal(canonicalize(HOME + path), **rules) == reason


def test_other_hosts_are_other_hosts_whatever_shape_their_urls_have():
    assert refusal("https://other.example/" + "a/" * 30) == "host"


#: Characters of which any canonical URL can be made, those that are counted first among them.
urls = st.builds(
    lambda text: "https://example.org/" + text,
    st.lists(st.sampled_from([*"aab//;?&&=", "..", "%2e", "%2F", "ü", " ", "sid=", "jsessionid=1", "x" * 22]))
    .map("".join),
)  # fmt: skip
limits = st.none() | st.integers(1, 6)


@given(urls, st.builds(ScopeSpec, max_path_segments=limits, max_same_segment=limits, max_query_parameters=limits,
                       session_ids=st.booleans()))  # fmt: skip
def test_the_quick_look_agrees_with_a_slow_one(text, spec):
    url = canonicalize(text)
    assert Scope(spec).refusal(url, depth=1, root="example.org") == slowly(url, spec)
    assert TrapShapes(spec)(url) == slowly(url, spec)


def slowly(url, spec):
    parts = urlsplit(url)
    segments = parts.path.removesuffix("/").split("/")[1:]
    parameters = parts.query.split("&") if parts.query else []
    if spec.max_path_segments is not None and len(segments) > spec.max_path_segments:
        return "path_segments"
    if spec.max_same_segment is not None and any(n > spec.max_same_segment for n in Counter(segments).values()):
        return "same_segment"
    if spec.max_query_parameters is not None and len(parameters) > spec.max_query_parameters:
        return "query_parameters"
    behind_semicolons = [part for segment in segments for part in segment.split(";")[1:]]
    if not spec.session_ids and any(map(is_session_id, [*parameters, *behind_semicolons])):
        return "session_id"
    return None


@given(st.text(max_size=200).map(HOME.__add__) | st.text())
def test_no_url_makes_it_raise(text):
    try:
        url = canonicalize(text)
    except UrlInvalid:
        return
    for spec in (ScopeSpec(any_host=True), ScopeSpec(any_host=True, session_ids=False, max_same_segment=1)):
        Scope(spec).refusal(url, depth=1, root="")
        TrapShapes(spec)(url)
