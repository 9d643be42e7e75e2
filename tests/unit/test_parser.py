"""The HTML parser's memory: what one page has brought is given back, however many names there were in it."""

import subprocess
import sys
import threading
from itertools import count

import pytest
from lxml import etree

from costs import resident_bytes
from crawl_consumer import parser
from crawl_dev.process import same_modules

#: Kept by lxml 6 for each name that it has met.
NAME_BYTES = 40


def pages_with_new_names(form, names):
    """Pages of 10,000 names each that no other page has, ``names`` in all."""
    numbers = count()
    for _ in range(names // 10_000):
        yield "".join(form.format(name=f"x{next(numbers):x}") for _ in range(10_000)).encode()


def grown_bytes(read, form):
    """What is left of 800,000 names, after 100,000 that nobody counts."""
    parser.FORGET_BYTES = 100_000
    warm_up, rest = pages_with_new_names(form, 100_000), pages_with_new_names(form, 800_000)
    for page in warm_up:
        read(page)
    before_bytes = resident_bytes()
    for page in rest:
        read(page.replace(b"x", b"y"))
    return resident_bytes() - before_bytes


@pytest.mark.parametrize("form", ["<{name}></{name}>", "<p {name}>"])
@pytest.mark.parametrize("read", ["parse", "skim"])
def test_names_that_pages_bring_are_forgotten(read, form):
    # In a process of its own: what other tests have left behind moves about in the memory of this one.
    child = subprocess.run([sys.executable, __file__, read, form], env=same_modules(), capture_output=True, check=True)
    assert int(child.stdout) < 700_000 * NAME_BYTES * 2 / 3


def test_a_tree_survives_the_dictionary_of_its_names(monkeypatch):
    monkeypatch.setattr(parser, "FORGET_BYTES", 1)
    kept = [parser.parse(b"<kept%d a%d=1><old>" % (number, number))[0] for number in range(50)]
    for number, root in enumerate(kept):
        (element,) = root.iter(f"kept{number}")
        assert element.get(f"a{number}") == "1"
        element.append(parser.parse(b"<new>")[0].find(".//new"))
        element.set("another", "2")
        assert [child.tag for child in element] == ["old", "new"]
    together = kept[0]
    for root in kept[1:]:
        together.extend(root)
    kept.clear()
    assert len([*together.iter("new")]) == 50


def test_each_thread_has_a_parser_of_its_own():
    trees = {}

    def parse(name):
        for _ in range(50):
            trees[name] = parser.parse(f"<{name} {name}=1>".encode() * 500)[0]

    threads = [threading.Thread(target=parse, args=(f"name{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len([*trees[f"name{n}"].iter(f"name{n}")]) for n in range(8)] == [500] * 8


if __name__ == "__main__":
    print(grown_bytes(getattr(parser, sys.argv[1]), sys.argv[2]))


@pytest.mark.parametrize("depth", [1, 200, 248])
def test_what_is_shallow_becomes_the_same_tree_either_way(depth):
    markup = b"<div>" * (depth - 1) + b"<p>text<a href=x>link</a><b>misnested<i></b></i>"
    (shallow, error), (deep, _) = parser.parse_shallow(markup), parser.parse(markup)
    assert error is None
    assert etree.tostring(shallow) == etree.tostring(deep)


@pytest.mark.parametrize(
    "markup", [b"<div>" * 300 + b"<a href=x>", b"<p title=" + b"x" * (11 << 20) + b">"], ids=["deep", "long"]
)
def test_what_is_not_shallow_is_for_the_other_parser(markup):
    assert parser.parse_shallow(markup) is None
    assert parser.parse(markup)[1] is None


def test_a_page_after_a_deep_one_is_judged_by_itself():
    assert parser.parse_shallow(b"<div>" * 300) is None
    root, error = parser.parse_shallow(b"<p>x")
    assert (root.findtext(".//p"), error) == ("x", None)


@pytest.mark.parametrize(
    ("markup", "body"),
    [
        ("<p>a</p></html>b<i>c</i>d</html>e<b>f</b>", "<p>a</p>b<i>c</i>de<b>f</b>"),
        ("a</html>b</html>c", "abc"),
        ("<p>a</p>b</html>c</html>d", "<p>a</p>bcd"),
        ("a</body></html>\n<!-- made in 1 s --><p>b", "a<p>b</p>"),
        ("a</html><html x=1><body>b</body></html>", "a<body>b</body>"),
    ],
)
def test_what_follows_the_document_s_end_is_in_its_body(markup, body):
    for read in (parser.parse, parser.parse_shallow):
        root, error = read(f"<html><head></head><body>{markup}".encode())
        assert (etree.tostring(root.find("body")).decode().replace("\n", ""), error) == (f"<body>{body}</body>", None)


def test_what_follows_a_frameset_is_in_the_tree():
    root, _ = parser.parse(b"<frameset><frame src=a></frameset></html><a href=b>")
    assert [element.get("href") for element in root.iter("a")] == ["b"]


@pytest.mark.timeout(20)
def test_a_document_that_ends_often_takes_no_longer_for_that():
    root, _ = parser.parse(b"a</html>" * 200_000)
    assert "".join(root.itertext()) == "a" * 200_000
