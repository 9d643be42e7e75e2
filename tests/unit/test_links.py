"""Links in markup that no tree holds."""

import pytest

from crawl_consumer.links import hrefs_of_text
from crawl_consumer.tags import MAX_REFERENCES


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
        pytest.param(
            "".join(f"<a href={n}>" for n in range(MAX_REFERENCES + 7)), [*map(str, range(MAX_REFERENCES))], id="many"
        ),
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
