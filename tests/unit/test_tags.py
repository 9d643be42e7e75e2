"""What a page says in its tags, read from its tree and without one."""

import pytest

from crawl_consumer import parser
from crawl_consumer.tags import MAX_METAS, MAX_REFERENCES, NO_TAGS, in_tree


def from_tree(markup):
    return in_tree(parser.parse(markup.encode())[0])


def skimmed(markup):
    return parser.skim(markup.encode())


@pytest.fixture(params=[from_tree, skimmed], ids=["tree", "skimmed"])
def read(request):
    return request.param


def test_references_are_distinct_and_in_document_order(read):
    markup = "<a href=b>1</a><map><area href=a></map><a href=b>2</a><a href=c>3</a>"
    assert list(read(markup).references) == ["b", "a", "c"]


def test_a_rel_is_read_so_far_as_anybody_writes_one(read):
    words = "x " * 400
    markup = f"<a href=a rel='{words} nofollow'><a href=b rel='{words * 2} nofollow'>"
    assert read(markup).references == {"a": False, "b": True}


def test_a_reference_is_vouched_for_by_any_link_that_no_rel_qualifies(read):
    markup = (
        "<a href=a rel='me NOFOLLOW'>1</a><a href=b rel=ugc>2</a><a href=b#x rel=me>3</a><area href=c rel=sponsored>"
    )
    assert read(markup).references == {"a": False, "b": True, "c": False}


def test_fragments_are_dropped_before_references_are_compared(read):
    assert list(read("<a href='a#1'>1</a><a href='a#2'>2</a><a href=a>3</a>").references) == ["a"]


@pytest.mark.parametrize(
    "markup", ["", "<a>", "<a href>", "<a href=''>", "<a href=' '>", "<a href='#top'>", "<a href=' #x'>"]
)
def test_a_reference_to_the_page_itself_is_none(read, markup):
    assert read(f"<p>{markup}").references == {}


def test_references_beyond_a_number_are_left_out_and_counted(read):
    markup = "<a href=0>" + "".join(f"<a href={number}>" for number in range(MAX_REFERENCES + 7)) + "<a href=1 rel=x>"
    found = read(markup)
    assert list(found.references) == [str(number) for number in range(MAX_REFERENCES)]
    assert found.left_out == 7


def test_meta_elements_need_a_name_and_a_content(read):
    markup = "<meta name=a content=b><meta name=c><meta content=d><meta name='' content=e><meta charset=f>"
    assert read(markup).metas == [("a", "b")]


def test_meta_elements_beyond_a_number_are_not_read(read):
    metas = read("<meta name=a content=b>" * MAX_METAS + "<meta name=c content=d>").metas
    assert metas == [("a", "b")] * MAX_METAS


def test_other_elements_are_no_links(read):
    markup = "<link href=a><img src=b><b href=c><form action=d><iframe src=e></iframe><meta href=f>"
    assert read(markup).references == {}


def test_entities_in_references_are_resolved(read):
    assert list(read("<a href='?a=1&amp;b=2'>").references) == ["?a=1&b=2"]


@pytest.mark.parametrize(
    ("markup", "base"),
    [
        ("<p>", None),
        ("<base>", None),
        ("<base target=x><base href=/other/>", "/other/"),
        ("<base href=/one/><base href=/two/>", "/one/"),
        ("<base href=''><base href=/two/>", ""),
        ("<!-- <base href=/commented/> --><p>", None),
    ],
)
def test_the_base_is_the_first_one_with_a_reference(read, markup, base):
    assert read(markup).base == base


def test_what_one_page_says_is_not_said_by_the_next(read):
    read("<base href=/b/><meta name=a content=b><a href=c>")
    assert read("<p>") == NO_TAGS
