"""Markup that is taken for tame costs the parser little, however it was made."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_consumer import parser
from crawl_consumer.tame import (
    MOST_COMPARED,
    MOST_NODES,
    MOST_TAGS,
    TAG_BYTES,
    is_skimmable,
    is_tame,
    single_quoted,
    tags_end,
)

#: Ways to write an attribute, some of which hide that the tag goes on after it.
ATTRIBUTES = [
    "a{}",
    "a{}=b",
    'a{}=">"',
    "a{}='>'",
    "a{}='\">'",
    "a{}='x\">'",
    'a{}= "><p>"',
    'a{}=\t\n">"',
    "a{}= 'x\">'",
    'a{}="<p x="',
    "a{}='<p class=\"x\">'",
    'a{}=\'<p class="x">\' b{}=">"',
]
PARAGRAPH = '<p class="x">words <a href="y">and a link</a></p>\n'


def element(attribute, number):
    return f"<a {' '.join(attribute.format(n, n) for n in range(number))}>"


def most_attributes(markup):
    root, _ = parser.parse(markup)
    return 0 if root is None else max(len(element.attrib) for element in root.iter())


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("around", ["", PARAGRAPH * 10], ids=["alone", "among others"])
def test_an_element_with_many_attributes_is_not_tame_however_they_are_written(attribute, around):
    assert most_attributes(f"{around}{element(attribute, 300)}{around}".encode()) >= 300
    size = 2 * TAG_BYTES // len(attribute.format(1000, 1000))
    assert not is_tame(f"{around}{element(attribute, size)}{around}".encode())


@given(
    st.lists(
        st.sampled_from(['"', "'", "=", ">", "<a ", "</a>", " ", "/", '">', "='", '="', "= '", "\0", "x", *ATTRIBUTES]),
        max_size=120,
    ),
    st.integers(2, 40),
)
def test_no_element_has_more_attributes_than_the_blocks_between_ends_have_room_for(tokens, every_bytes):
    markup = "".join(token.format(place, place) for place, token in enumerate(["<a ", *tokens])).encode()
    if tags_end(markup, every_bytes=every_bytes):
        assert most_attributes(markup) <= every_bytes * (single_quoted(markup) + 1)


@given(st.lists(st.sampled_from([b"'", b"=", b"\t", b"\n", b"\v", b"\f", b"\r", b" ", b"\0", b"x"]), max_size=40))
def test_every_single_quotation_mark_that_may_open_a_value_is_counted(parts):
    markup = b"".join(parts)
    assert single_quoted(markup) == len(re.findall(rb"=[\t\n\v\f\r \0]*'", markup))


def test_ordinary_pages_are_tame_whatever_their_size():
    assert is_tame((PARAGRAPH * 25_000).encode())
    assert is_tame(("<html>" + PARAGRAPH * 10_000 + "it's 'quoted' = 'so'").encode())


def test_small_pages_are_tame_whatever_is_in_them():
    assert is_tame(element("a{}", 1 << 14).encode()[:TAG_BYTES])


@pytest.mark.parametrize("many", ['<p id="x">', '<p a b c d e f g h id="x">'], ids=["elements", "attributes"])
def test_more_nodes_than_memory_is_meant_for_are_not_tame(many):
    nodes = 2 + many.count(" ")
    assert is_tame((many * (MOST_NODES // nodes // 4)).encode())
    assert not is_tame((many * (MOST_NODES // nodes + 1)).encode())


def test_more_tags_than_there_is_time_for_are_not_tame():
    line = '<p class="x"></p>'
    assert is_tame((line * (MOST_TAGS // 2)).encode())
    assert not is_tame((line * (MOST_TAGS // 2 + 1)).encode())


@pytest.mark.parametrize("markup", ["x" * 200_000, "<p>" * 60_000, "<p>text</p>" * 20_000])
def test_where_tags_are_not_seen_to_end_nothing_is_known(markup):
    assert not is_tame(markup.encode())


@pytest.mark.parametrize("length", [1, 3, 10, 30, 100])
def test_what_is_skimmed_compares_no_more_than_takes_two_seconds(length):
    """Half of the tags open, and the other half of another name that differs in its last character only."""

    def compared(tags):
        return (tags // 2) ** 2 * length

    def markup(tags):
        return (b"<" + b"x" * length + b' a="b">') * (tags // 2) + (b"</" + b"x" * (length - 1) + b'y a="b">') * (
            tags // 2
        )

    most = max(tags for tags in range(2000, 40_000, 500) if is_skimmable(markup(tags)))
    assert compared(most) <= MOST_COMPARED
    assert not is_skimmable(markup(40_000))


def test_an_element_with_many_attributes_is_not_skimmed():
    long_tag = b"<a " + b"b=c " * (TAG_BYTES // 2) + b">"
    assert not is_skimmable(long_tag)
    assert is_skimmable(b'<a b="c">' * 1000 + long_tag[: TAG_BYTES // 4] + b'">' + b"text " * 10_000)
