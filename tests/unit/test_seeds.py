import gzip
import io
from pathlib import Path

import pytest

from crawl_producer.errors import SeedsUnreadable
from crawl_producer.seeds import MAX_LINE_BYTES, Rejected, Seed, bounded_lines, opened, parse


def entries(*lines):
    return list(parse(lines))


def test_lines_become_canonical_seeds_with_their_number():
    assert entries("HTTP://Example.org:80/a b#x\n", "https://example.org") == [
        Seed(1, "http://example.org/a%20b"),
        Seed(2, "https://example.org/"),
    ]


def test_blank_lines_and_comments_are_skipped_but_counted():
    assert entries("", "# a comment", "  https://example.org/  ") == [Seed(3, "https://example.org/")]


def test_what_is_no_url_is_rejected_with_line_and_reason():
    first, second = entries("ftp://example.org/", "not a url")
    assert first == Rejected(1, "ftp://example.org/", "scheme")
    assert isinstance(second, Rejected)
    assert second.line == 2


def test_a_byte_order_mark_is_no_part_of_the_first_url():
    assert list(parse([b"\xef\xbb\xbfhttps://example.org/\r\n"])) == [Seed(1, "https://example.org/")]


def test_bytes_that_are_no_utf8_are_rejected_not_fatal():
    (entry,) = parse([b"\xff\xfe://x"])
    assert isinstance(entry, Rejected)


def lines_of(path, stdin=b""):
    with opened(path, io.BytesIO(stdin)) as source:
        return list(bounded_lines(source.stream))


def test_gzip_is_recognised_by_its_bytes(tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_bytes(gzip.compress(b"https://example.org/\n"))
    assert lines_of(path) == [b"https://example.org/\n"]


@pytest.mark.parametrize("path", [None, Path("-")])
def test_standard_input_is_read_for_a_dash_or_no_path(path):
    assert lines_of(path, b"https://example.org/\n") == [b"https://example.org/\n"]
    assert lines_of(path, gzip.compress(b"https://example.org/")) == [b"https://example.org/"]


@pytest.mark.parametrize("content", [None, gzip.compress(b"https://example.org/\n" * 99)[:-9], b"\x1f\x8bnonsense"])
def test_a_file_that_is_missing_cut_short_or_damaged_is_named(tmp_path, content):
    path = tmp_path / "seeds.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SeedsUnreadable, match=r"seeds\.gz"):
        lines_of(path)


def test_the_position_follows_the_file(tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_bytes(b"https://example.org/\n")
    with opened(path, io.BytesIO()) as source:
        list(bounded_lines(source.stream))
        assert source.position() == 21


def test_an_endless_line_is_cut_and_the_next_line_keeps_its_number():
    stream = io.BytesIO(b"a" * (3 * MAX_LINE_BYTES + 5) + b"\nhttps://example.org/\n")
    lines = list(bounded_lines(stream))
    assert [len(line) for line in lines] == [MAX_LINE_BYTES, 21]
    assert list(parse(lines))[1] == Seed(2, "https://example.org/")
