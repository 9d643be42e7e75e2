"""Links as they are written on a page."""

import pytest
from lxml import etree

from crawl_consumer.links import (
    MAX_METAS,
    MAX_REFERENCES,
    base_url,
    hrefs_of_text,
    written,
)

PAGE = "http://site.example/folder/page.html"


def tree(markup):
    return etree.fromstring(f"<html><body>{markup}</body></html>", etree.HTMLParser(huge_tree=True))


def hrefs(root):
    return written(root).references


def test_references_are_distinct_and_in_document_order():
    markup = "<a href=b>1</a><map><area href=a></map><a href=b>2</a><a href=c>3</a>"
    assert list(hrefs(tree(markup))) == ["b", "a", "c"]


def test_a_rel_is_read_so_far_as_anybody_writes_one():
    words = "x " * 400
    assert list(hrefs(tree(f"<a href=a rel='{words} nofollow'><a href=b rel='{words * 2} nofollow'>")).values()) == [
        False,
        True,
    ]


def test_a_reference_is_vouched_for_by_any_link_that_no_rel_qualifies():
    markup = (
        "<a href=a rel='me NOFOLLOW'>1</a><a href=b rel=ugc>2</a><a href=b#x rel=me>3</a><area href=c rel=sponsored>"
    )
    assert hrefs(tree(markup)) == {"a": False, "b": True, "c": False}


def test_fragments_are_dropped_before_references_are_compared():
    assert list(hrefs(tree("<a href='a#1'>1</a><a href='a#2'>2</a><a href=a>3</a>"))) == ["a"]


@pytest.mark.parametrize(
    "markup", ["<a>", "<a href>", "<a href=''>", "<a href=' '>", "<a href='#top'>", "<a href=' #x'>"]
)
def test_a_reference_to_the_page_itself_is_none(markup):
    assert list(hrefs(tree(markup))) == []


def test_references_beyond_a_number_are_left_out_and_counted():
    markup = "<a href=0>" + "".join(f"<a href={number}>" for number in range(MAX_REFERENCES + 7)) + "<a href=1 rel=x>"
    found = written(tree(markup))
    assert list(found.references) == [str(number) for number in range(MAX_REFERENCES)]
    assert found.left_out == 7
    assert hrefs_of_text(markup) == list(found.references)


def test_meta_elements_beyond_a_number_are_not_read():
    metas = written(tree("<meta name=a content=b>" * (MAX_METAS + 1))).metas
    assert metas == [("a", "b")] * MAX_METAS


def test_other_elements_are_no_links():
    assert list(hrefs(tree("<link href=a><img src=b><b href=c><form action=d><iframe src=e></iframe>"))) == []


def test_entities_in_references_are_resolved():
    assert list(hrefs(tree("<a href='?a=1&amp;b=2'>"))) == ["?a=1&b=2"]


@pytest.mark.parametrize(
    ("markup", "base"),
    [
        ("", PAGE),
        ("<base>", PAGE),
        ("<base target=x><base href=/other/>", "http://site.example/other/"),
        ("<base href=/one/><base href=/two/>", "http://site.example/one/"),
        ("<base href='//cdn.example/x'>", "http://cdn.example/x"),
        ("<base href='https://cdn.example/#x'>", "https://cdn.example/"),
        ("<base href='javascript:alert(1)'>", PAGE),
        ("<base href='data:text/html,x'><base href=/two/>", PAGE),
        ("<base href='http://['>", PAGE),
        ("<base href=''>", PAGE),
    ],
)
def test_the_base_is_the_first_one_with_a_reference(markup, base):
    assert base_url(tree(markup), PAGE) == base


def test_a_base_in_a_comment_is_none():
    assert base_url(tree("<!-- <base href=/commented/> -->"), PAGE) == PAGE


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ("<a href=a>", ["a"]),
        ("<A\nHREF = 'a b'>", ["a b"]),
        ('<area/href="a?x=1&amp;y=2">', ["a?x=1&y=2"]),
        ("<a title='>' data-href=no href=yes>", ["yes"]),
        ("<a title='x'href=yes>", ["yes"]),
        ("<abbr href=a><address href=b><a>", []),
        ("<!-- <a href=a> --><a href=b>", ["b"]),
        ("<!-- <a href=a>", []),
        ("<script>'<a href=a>'</script><STYLE><a href=b></STYLE><a href=c#1><a href=c#2>", ["c"]),
        ("<a href=''><a href='#x'><a title=\"<a href=b>", ["b"]),
        pytest.param(f"<a href='&#{'9' * 5000}'><a href=b>", [f"&#{'9' * 5000}".partition("#")[0], "b"], id="digits"),
        pytest.param(f"<a href='{'&amp;' * 40_000}'><a href=b>", ["&amp;" * 40_000, "b"], id="too long to be read"),
    ],
)
def test_links_are_found_in_markup_that_no_tree_can_hold(markup, found):
    assert hrefs_of_text(markup) == found


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<a '", "<a \"'", "<script>", "<a href=", "<a/", " href ", '<a href="', "<a &amp;", "é"]
)
def test_markup_made_to_be_slow_is_not(piece):
    hrefs_of_text("<a " + piece * 200_000)
