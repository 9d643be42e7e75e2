"""Bytes of any encoding in UTF-8."""

import codecs

import pytest

from crawl_consumer.charset import NAMES
from crawl_consumer.markup import in_utf8


@pytest.mark.parametrize("name", sorted(NAMES - {"utf-8"}))
def test_each_byte_becomes_what_python_makes_of_it(name):
    body = bytes(range(256)) * 2
    assert in_utf8(body, name) == body.decode(name, "replace").encode("utf-8", "replace").removeprefix(codecs.BOM_UTF8)


@pytest.mark.parametrize("name", ["windows-1252", "cp874", "iso-8859-8"])
def test_bytes_without_a_character_are_not_asked_for_one_by_one(name):
    asked = []
    replace = codecs.lookup_error("replace")
    codecs.register_error("replace", lambda error: asked.append(error) or replace(error))
    try:
        assert "\ufffd".encode() in in_utf8(b"\x81\xdb\xfb" * 100, name)
    finally:
        codecs.register_error("replace", replace)
    assert asked == []
