"""Which encoding a page is in, by a table of our own; the cases of html5lib are in ``test_conformance.py``."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from crawl_consumer.charset import LATE_BYTES, NAMES, PRESCAN_BYTES, detect

#: What a page says → what it is in. Each row is a rule of the Standard, in words of our own.
TABLE = [
    (b"", "windows-1252"),
    (b"<p>ascii only", "windows-1252"),
    ("<p>größer".encode(), "utf-8"),
    ("<p>größer".encode("latin-1"), "windows-1252"),
    (b'<meta charset="iso-8859-1">', "windows-1252"),
    (b"<META CharSet=ISO-8859-2>", "iso-8859-2"),
    (b"<meta charset='koi8-r'/>", "koi8-r"),
    (b"<meta charset = ' gb2312 '>", "gb18030"),
    (b"<meta/charset=big5>", "big5-hkscs"),
    (b"<meta charset=shift_jis>", "cp932"),
    (b"<meta charset=utf-16le>", "utf-8"),
    (b"<meta charset=x-user-defined>", "windows-1252"),
    (b"<meta charset=utf-7>", "windows-1252"),
    (b"<meta charset=iso-2022-kr>", "windows-1252"),
    (b"<meta charset=nonsense><meta charset=euc-jp>", "euc-jp"),
    (b"<meta charset=koi8-r charset=euc-jp>", "koi8-r"),
    (b"<metacharset=koi8-r>", "windows-1252"),
    (b"<meta name=x content='text/html; charset=koi8-r'>", "windows-1252"),
    (b"<meta http-equiv=content-type content='text/html; charset=koi8-r'>", "koi8-r"),
    (b"<meta content='text/html;CHARSET = \"koi8-r\"' http-equiv=Content-Type>", "koi8-r"),
    (b"<meta http-equiv=content-type content='charset charset=koi8-r;x'>", "koi8-r"),
    (b'<meta http-equiv=content-type content="text/html; charset=\'koi8-r">', "windows-1252"),
    (b"<meta http-equiv=refresh content='text/html; charset=koi8-r'>", "windows-1252"),
    (b"<!-- <meta charset=koi8-r> --><meta charset=euc-jp>", "euc-jp"),
    (b"<!--><meta charset=koi8-r>", "koi8-r"),
    (b"<p title='<meta charset=koi8-r>'><meta charset=euc-jp>", "euc-jp"),
    (b"<p title='<meta charset=koi8-r>", "windows-1252"),
    (b"<?pi <meta charset=koi8-r>", "windows-1252"),
    (b"</ <meta charset=koi8-r><meta charset=euc-jp>", "euc-jp"),
    (b"< meta charset=koi8-r>", "windows-1252"),
    (b"<meta charset=koi8-r", "windows-1252"),
    (b"<?xml version='1.0' encoding='koi8-r'?><html>", "koi8-r"),
    (b"<?xml version='1.0' encoding=\"utf-16\"?><meta charset=euc-jp>", "euc-jp"),
    (b"\xef\xbb\xbf<meta charset=koi8-r>", "utf-8"),
    (b"\xff\xfe<\0", "utf-16le"),
    (b"\xfe\xff\0<", "utf-16be"),
]


@pytest.mark.parametrize(("body", "name"), TABLE)
def test_a_page_says_what_it_is_in(body, name):
    assert detect(body, None) == name


def test_a_byte_order_mark_beats_the_header_and_the_header_beats_the_page():
    assert detect(b"\xef\xbb\xbf<meta charset=koi8-r>", "euc-jp") == "utf-8"
    assert detect(b"<meta charset=koi8-r>", "EUC-JP ") == "euc-jp"
    assert detect(b"<meta charset=koi8-r>", "utf-16") == "utf-16le"


def test_an_unknown_charset_in_the_header_is_passed_over():
    assert detect(b"<meta charset=koi8-r>", "nonsense") == "koi8-r"


def test_a_declaration_behind_the_prescan_counts_when_nothing_else_does():
    late = b"x" * PRESCAN_BYTES + b"<meta charset=koi8-r>"
    assert detect(late, None) == "koi8-r"
    assert detect("ж".encode() + late, None) == "utf-8"
    assert detect(b"x" * LATE_BYTES + b"<meta charset=koi8-r>", None) == "windows-1252"


def test_every_name_is_known_to_python_and_to_libxml2():
    for name in NAMES:
        codecs.lookup(name)
        etree.HTMLParser(encoding=name)


def test_markup_made_to_be_slow_is_not():
    for piece in (b"<meta ", b"<!--", b'<a b="', b"<a =", b"<meta content=charset ", b"<?xml encoding "):
        detect(b"charset" + piece * (LATE_BYTES // len(piece)), None)


@given(st.binary(), st.none() | st.text(max_size=10))
def test_any_bytes_have_an_encoding_that_can_decode_them(body, header_charset):
    name = detect(body, header_charset)
    assert name in NAMES
    body.decode(name, "replace").encode("utf-8")


@given(
    st.lists(st.sampled_from([b"<meta ", b"charset", b"=", b'"', b"'", b"koi8-r", b">", b"<!--", b"-->", b" ", b"/"]))
)
def test_any_markup_has_an_encoding(pieces):
    assert detect(b"".join(pieces), None) in NAMES
