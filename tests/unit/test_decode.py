"""Content codings: whatever was cut short or damaged is an error, never a shorter page."""

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_consumer.decode import MAX_MEMBERS, decode

PAGE = b"<a href=here>" * 5000
LIMIT = 1_000_000


def bare_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("wire", "codings"),
    [
        (gzip.compress(PAGE), "gzip"),
        (gzip.compress(PAGE), "X-GZIP "),
        (zlib.compress(PAGE), "deflate"),
        (bare_deflate(PAGE), "deflate"),
        (gzip.compress(zlib.compress(PAGE)), "deflate, gzip"),
        (gzip.compress(PAGE[:100]) + gzip.compress(PAGE[100:]), "gzip"),
        (gzip.compress(PAGE) + b"\0" * 100, "gzip"),
        (gzip.compress(PAGE) + b"trailing junk", "gzip"),
        (zlib.compress(PAGE) + gzip.compress(b"junk"), "deflate"),
        (PAGE, ""),
        (PAGE, "identity"),
        (PAGE, "utf-8"),
    ],
)
def test_a_whole_body_is_decoded(wire, codings):
    assert decode(wire, codings, limit_bytes=LIMIT) == PAGE


def test_an_empty_body_has_nothing_to_decode():
    assert decode(b"", "gzip", limit_bytes=LIMIT) == b""


@pytest.mark.parametrize(
    ("wire", "codings", "reason"),
    [
        (gzip.compress(PAGE)[:-20], "gzip", "cut short"),
        (gzip.compress(PAGE)[:-1], "gzip", "cut short"),
        (gzip.compress(PAGE)[:5], "gzip", "cut short"),
        (zlib.compress(PAGE)[:-1], "deflate", "cut short"),
        (gzip.compress(PAGE) + gzip.compress(PAGE)[:-1], "gzip", "cut short"),
        (gzip.compress(PAGE)[:-8] + b"wrong sum", "gzip", "damaged"),
        (b"<html>no gzip at all", "gzip", "damaged"),
        (b"x", "deflate", "cut short"),
        (PAGE, "br", "br was not asked for"),
        (PAGE, "gzip, zstd", "zstd was not asked for"),
        (PAGE, "gzip, gzip, gzip", "3 content codings"),
        (gzip.compress(b"") * (MAX_MEMBERS + 1), "gzip", "members"),
    ],
)
def test_a_broken_body_is_an_error(wire, codings, reason):
    with pytest.raises(ValueError, match=reason):
        decode(wire, codings, limit_bytes=LIMIT)


@pytest.mark.parametrize("limit", [0, 1, len(PAGE) - 1])
def test_decoding_stops_one_byte_above_the_limit(limit):
    bomb = gzip.compress(PAGE) * 2
    assert len(decode(bomb, "gzip", limit_bytes=limit)) == limit + 1


def test_a_body_as_long_as_the_limit_is_whole():
    assert decode(gzip.compress(PAGE), "gzip", limit_bytes=len(PAGE)) == PAGE


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_any_bytes_decode_or_are_an_error(wire, codings):
    with suppress(ValueError):
        decode(wire, codings, limit_bytes=1000)
