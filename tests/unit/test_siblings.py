"""Messages of one page's links: encoded in parts, the same to the byte."""

import pytest

from crawl_dedup import canonicalize
from crawl_producer.message import MAX_ENCODED_BYTES, MAX_URL_CHARS, UrlMessage
from crawl_producer.siblings import Family, Seedling, Sibling

PARENT = "https://example.org/a?b\\c"


COMMON = {"crawl": 'a "quoted" \n crawl', "depth": 3, "root": "example.org", "parent": PARENT, "first_seen_ms": 7}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        canonicalize('https://example.org/"\\ü?"\\\'ü'),  # some of these stay as they are in a query
        "https://example.org/?" + "\\" * 1000,
        "https://example.org/" + "x" * (MAX_URL_CHARS - 20),
    ],
)
def test_a_sibling_is_encoded_as_the_message_that_it_stands_for(url):
    family = Family.of(**COMMON)
    assert Sibling(url, family).encode() == UrlMessage.model_construct(url=url, **COMMON).encode()


def test_a_parent_that_leaves_no_room_is_left_out_of_this_message_alone():
    family = Family.of(**COMMON | {"parent": "https://example.org/?" + "\\" * 1900})
    short, long = (Sibling("https://example.org/" + "x" * n, family).encode() for n in (1, MAX_URL_CHARS - 20))
    assert (UrlMessage.decode(short).parent is None, UrlMessage.decode(long).parent is None) == (False, True)
    assert max(len(short), len(long)) <= MAX_ENCODED_BYTES


def test_a_seed_says_what_the_message_says_that_it_stands_for():
    common = {"crawl": 'a "quoted" \n crawl', "depth": 3, "first_seen_ms": 7, "expires_ms": 9}
    seed = {"url": canonicalize('https://example.org/"\\ü'), "root": 'exa"mple'}
    encoded = Seedling(**seed, family=Family.of(**common)).encode()
    assert UrlMessage.decode(encoded) == UrlMessage.model_construct(**seed, **common)


def test_a_url_that_spells_the_place_of_urls_in_the_family_is_no_problem():
    family = Family.of(**COMMON | {"parent": "https://example.org/?\\n\\"})
    assert UrlMessage.decode(Sibling("https://example.org/?\\n", family).encode()).url == "https://example.org/?\\n"
