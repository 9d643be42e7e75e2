"""Rules by which several URLs count as one page: what they merge, that they are idempotent, and how they are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawl_dedup import NO_RULES, CanonicalRules, canonicalize
from crawl_dedup.session_ids import ALWAYS, WITH_LONG_VALUES
from crawl_dedup.tracking import NAMES, PREFIXES
from crawl_producer.topology_canonical import CanonicalSpec

HOME = "https://example.org/"
LONG = "9682993c8daa2c5497996114facdc805"
TRACKING = {"drop_tracking": True}
SESSIONS = {"drop_session_ids": True}
SORTED = {"sort_query": True}


@pytest.mark.parametrize(
    ("rules", "url", "page"),
    [
        ({}, "?utm_source=x&PHPSESSID=1&b&a", "?utm_source=x&PHPSESSID=1&b&a"),
        (TRACKING, "p?utm_source=x", "p"),
        (TRACKING, "p?utm_source=x&id=7&FBCLID=y", "p?id=7"),
        (TRACKING, "p?id=7&gclid", "p?id=7"),
        (TRACKING, "p?ref=x&source=y&cid=3&utm=1&clid=gclid", "p?ref=x&source=y&cid=3&utm=1&clid=gclid"),
        (TRACKING, "p?utm_source=x&&", "p"),
        (TRACKING, "p?utm_source=x&&a", "p?&a"),
        (TRACKING, "p?", "p?"),
        (TRACKING, "p?&", "p?&"),
        (TRACKING, "utm_source=x/p", "utm_source=x/p"),
        (TRACKING, "p?a=b?utm_source=x", "p?a=b?utm_source=x"),
        (SESSIONS, f"p?PHPSESSID=1&id=7&sid={LONG}", "p?id=7"),
        (SESSIONS, "p?sid=7", "p?sid=7"),
        (SESSIONS, "shop/p;jsessionid=1A.node2?id=7", "shop/p?id=7"),
        (SESSIONS, "shop;JSESSIONID=1;v=2/p;jsessionid=1;jsessionid=2", "shop;v=2/p"),
        (SESSIONS, ";jsessionid=1", ""),
        (SESSIONS, "a/..;jsessionid=1/b", "b"),
        (SESSIONS, "a/%2E%2e;jsessionid=1", ""),
        (SESSIONS, "a/.;jsessionid=1?x=;jsessionid=1", "a/?x=;jsessionid=1"),
        (SORTED, "p?b=1&a=2&b=0&B", "p?B&a=2&b=1&b=0"),
        (SORTED, "p?&b&a", "p?&a&b"),
        ({"drop_parameters": ("Ref", "pk_*")}, "p?ref=1&REF=2&pk_a&pk=3&refer=4", "p?pk=3&refer=4"),
        (TRACKING | SESSIONS | SORTED, "p;jsessionid=1?b&utm_id=2&a", "p?a&b"),
    ],
)
def test_what_means_the_same_page_is_one_url(rules, url, page):
    assert CanonicalSpec(**rules).rules()(canonicalize(HOME + url)) == HOME + page


def test_the_host_is_left_alone_whatever_is_in_it():
    assert CanonicalRules(drop_session_ids=True)("https://a;jsessionid=1/") == "https://a;jsessionid=1/"


words = ("..", "%2e", "utm_source=x", "gclid", "sid=" + LONG, ";jsessionid=1", "phpsessid", "ü", "\\", "\t")
pieces = st.sampled_from([*"ab&&&==?;;//.", *words])
some_rules = st.builds(
    CanonicalRules,
    drop_tracking=st.booleans(),
    drop_session_ids=st.booleans(),
    drop_parameters=st.sets(st.sampled_from(["a", "b*", "A"])),
    sort_query=st.booleans(),
)


@given(some_rules, st.lists(pieces).map("".join))
def test_the_rules_give_a_canonical_url_and_nothing_changes_it_again(rules, text):
    url = rules(canonicalize(HOME + text))
    assert rules(url) == url
    assert canonicalize(url) == url


@given(some_rules, st.text())
def test_no_text_makes_them_raise(rules, text):
    url = rules(canonicalize(HOME + text[:150]))
    assert rules(url) == canonicalize(url) == url


def test_without_rules_nothing_changes_and_the_name_is_the_canonicalisers_alone():
    assert not NO_RULES
    assert (NO_RULES.version, CanonicalSpec().rules().version) == ("1", "1")


def test_the_name_tells_the_rules_and_the_versions_of_their_lists():
    rules = CanonicalRules(drop_tracking=True, drop_session_ids=True, drop_parameters=("b", "A", "B"), sort_query=True)
    assert rules
    assert rules.version == "1+tracking.1+session_ids.1+drop(a,b)+sorted"


def test_the_lists_hold_what_they_are_compared_with():
    for name in (*NAMES, *PREFIXES, *ALWAYS, *WITH_LONG_VALUES):
        assert name == name.lower()
    assert not ALWAYS & WITH_LONG_VALUES


@pytest.mark.parametrize("name", ["", "*", "a=b", "a&b", "a*b", "a b", "ä", "a#", "a,b"])
def test_what_is_no_name_of_a_parameter_is_refused(name):
    with pytest.raises(ValidationError, match="drop_parameters"):
        CanonicalSpec(drop_parameters=(name,))
