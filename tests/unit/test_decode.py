"""Content codings: whatever was cut short or damaged is an error, never a shorter page, and no bomb goes off."""

import gzip
import time
import tracemalloc
import zlib
from contextlib import suppress

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_consumer.codings import ACCEPT_ENCODING, CODINGS, MAX_MEMBERS
from crawl_consumer.decode import FREE_BYTES, MAX_RATIO, Decoding, TooLong
from crawl_consumer.zstd import zstd

PAGE = b"<a href=here>" * 5000
LIMIT = 1_000_000
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


def decode(wire, codings, *, limit=LIMIT, wanted=None, step=None):
    """What comes out of a body that comes in pieces of so many bytes."""
    decoding = Decoding(codings, limit_bytes=limit, wanted_bytes=wanted)
    for start in range(0, len(wire), step or len(wire) or 1):
        decoding.feed(wire[start : start + (step or len(wire))])
    return decoding.body()


def bare_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd_with_window(data, log):
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(data) + packer.flush()


PACKED = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}
WHOLE = [
    *[(pack(PAGE), name) for name, pack in PACKED.items()],
    *[(outer(inner(PAGE)), f"{below}, {above}") for above, outer in PACKED.items() for below, inner in PACKED.items()],
    (gzip.compress(PAGE), "X-GZIP "),
    (brotli.compress(PAGE, lgwin=24), "BR"),
    (bare_deflate(PAGE), "deflate"),
    (gzip.compress(PAGE[:100]) + gzip.compress(PAGE[100:]), "gzip"),
    (gzip.compress(PAGE) + b"\0" * 100, "gzip"),
    (gzip.compress(PAGE) + b"\x1f", "gzip"),
    (gzip.compress(PAGE) + b"trailing junk", "gzip"),
    (zlib.compress(PAGE) + gzip.compress(b"junk"), "deflate"),
    (zstd.compress(PAGE[:100]) + SKIPPABLE + zstd.compress(PAGE[100:]), "zstd"),
    (SKIPPABLE + zstd.compress(PAGE) + b"junk", "zstd"),
    (zstd_with_window(PAGE, 23), "zstd"),
    (PAGE, ""),
    (PAGE, "identity"),
    (PAGE, "utf-8"),
]


@pytest.mark.parametrize("step", [None, 1, 7, 1000])
@pytest.mark.parametrize(("wire", "codings"), WHOLE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_whole_body_is_decoded_however_it_comes(wire, codings, step):
    if step is None or len(wire) < 10_000:
        assert decode(wire, codings, step=step) == PAGE


def test_what_we_ask_for_is_what_we_understand():
    assert set(ACCEPT_ENCODING.split(", ")) == set(CODINGS) - {"x-gzip"}


@pytest.mark.parametrize("codings", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_an_empty_body_has_nothing_to_decode(codings):
    assert decode(b"", codings) == b""


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 98_272, 196_608])
def test_no_byte_is_left_behind_at_the_edges_of_pieces(name, size):
    data = b"a" * size
    assert decode(PACKED[name](data), name, step=3) == data
    assert decode(bare_deflate(data), "deflate") == data


@pytest.mark.parametrize(
    ("wire", "codings", "reason"),
    [
        (gzip.compress(PAGE) + gzip.compress(PAGE)[:-1], "gzip", "gzip cut short"),
        (gzip.compress(PAGE)[:-8] + b"wrong sum", "gzip", "gzip damaged"),
        (b"<html>no gzip at all", "gzip", "gzip damaged"),
        (b"x", "gzip", "gzip cut short"),
        (b"x", "deflate", "deflate cut short"),
        (b"<html>no brotli at all", "br", "br damaged"),
        (brotli.compress(PAGE) + b"behind", "br", "br damaged"),
        (b"<html>no zstd at all", "zstd", "zstd damaged"),
        (b"\x28\xb5", "zstd", "zstd cut short"),
        (zstd.compress(PAGE) + zstd.compress(PAGE)[:-1], "zstd", "zstd cut short"),
        (zstd_with_window(PAGE, 24), "zstd", "too much memory"),
        (zstd_with_window(PAGE, 27), "zstd", "too much memory"),
        (gzip.compress(brotli.compress(PAGE)[:-1]), "br, gzip", "br cut short"),
        (PAGE, "gzip, compress", "compress was not asked for"),
        (PAGE, "dcz", "dcz was not asked for"),
        (PAGE, "gzip, gzip, gzip", "3 content codings"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("step", [None, 5])
def test_a_broken_body_is_an_error(wire, codings, reason, step):
    with pytest.raises(ValueError, match=reason) as error:
        decode(wire, codings, step=step)
    assert not isinstance(error.value, TooLong)


@pytest.mark.parametrize("name", PACKED)
def test_a_body_that_is_cut_anywhere_is_an_error(name):
    whole = PACKED[name](b"".join(b"<a href=%d>" % number for number in range(100)))
    for end in range(1, len(whole)):
        with pytest.raises(ValueError, match=f"{name} (cut short|damaged)"):
            decode(whole[:end], name)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_so_many_members_are_read_and_no_more(name):
    assert decode(PACKED[name](b"x") * MAX_MEMBERS, name) == b"x" * MAX_MEMBERS
    with pytest.raises(ValueError, match=f"more than {MAX_MEMBERS} {name} members"):
        decode(PACKED[name](b"x") * (MAX_MEMBERS + 1), name)


@pytest.mark.parametrize("name", PACKED)
def test_a_body_as_long_as_the_limit_is_whole_and_one_byte_more_is_too_long(name):
    assert decode(PACKED[name](PAGE), name, limit=len(PAGE)) == PAGE
    with pytest.raises(TooLong, match=f"body above {len(PAGE) - 1} bytes"):
        decode(PACKED[name](PAGE), name, limit=len(PAGE) - 1)


def test_a_body_without_coding_has_the_same_limit():
    assert decode(PAGE, "", limit=len(PAGE), step=1000) == PAGE
    with pytest.raises(TooLong):
        decode(PAGE, "", limit=len(PAGE) - 1, step=1000)


def test_what_is_between_two_codings_is_limited_too():
    long_name = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 3_000_000 + gzip.compress(b"")[9:]
    with pytest.raises(TooLong):  # 3 MB that decode to nothing
        decode(gzip.compress(long_name), "gzip, gzip", limit=LIMIT)


@pytest.mark.parametrize("name", PACKED)
def test_beyond_the_first_bytes_a_body_may_not_be_so_much_longer_than_what_was_sent(name):
    line = b"the same line again and again\n"
    with pytest.raises(TooLong, match=f"above {MAX_RATIO} times"):
        decode(PACKED[name](line * 1_000_000), name, limit=1 << 30)
    assert decode(PACKED[name](line * (FREE_BYTES // len(line))), name, limit=1 << 30)


def bomb(name, size):
    """A short body that decodes to ``size`` bytes, made without having them."""
    packer = {
        "gzip": lambda: zlib.compressobj(9, zlib.DEFLATED, 31),
        "deflate": lambda: zlib.compressobj(9),
        "br": lambda: brotli.Compressor(lgwin=16),
        "zstd": zstd.ZstdCompressor,
    }[name]()
    feed = packer.process if name == "br" else packer.compress
    chunk = bytes(1 << 20)
    parts = [feed(chunk) for _ in range(size >> 20)]
    return b"".join(parts) + (packer.finish() if name == "br" else packer.flush())


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_takes_no_more_memory_than_its_limit(name):
    wire = bomb(name, 64 << 20)
    limit = 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            decode(wire, name, limit=limit)
        assert tracemalloc.get_traced_memory()[1] < 3 * limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_cost_what_they_are_long_and_not_what_follows_them(name):
    def cpu_s(members):
        wire = PACKED[name](b"") * members + b"\0" * 4_000_000  # a copy of this for each would be 4 GB
        started = time.process_time()
        decode(wire, name, limit=8_000_000)
        return time.process_time() - started

    assert cpu_s(MAX_MEMBERS) < 2  # 0.03 s; copies would be 1,000 times 4 MB


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("wanted", [0, 1, 1000, len(PAGE) - 1, len(PAGE), len(PAGE) + 1])
def test_whoever_wants_less_gets_it_without_the_rest(name, wanted):
    whole = decode(PACKED[name](PAGE), name, wanted=wanted)
    assert whole == PAGE[:wanted]


def test_what_is_behind_the_wanted_bytes_may_be_broken_or_too_long():
    broken = gzip.compress(PAGE * 100)[:-50]
    assert decode(broken, "gzip", wanted=1000, limit=1000) == PAGE[:1000]
    assert decode(PAGE, "", wanted=1000, limit=1000) == PAGE[:1000]


@given(st.binary(), st.sampled_from([*PACKED, "gzip, deflate", "br, zstd"]), st.integers(1, 50))
def test_any_bytes_decode_or_are_an_error(wire, codings, step):
    with suppress(ValueError):
        decode(wire, codings, limit=1000, step=step)
