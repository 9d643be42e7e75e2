"""Fingerprints: stable, keyed, evenly spread, and few enough to a bucket."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_dedup import Fingerprinter, bucket_bits_for, is_synthetic
from crawl_dedup.fingerprint import MEAN_BUCKET_MEMBERS

KEY = bytes(range(16))


def test_a_fingerprint_never_changes_for_a_crawl_would_begin_anew():
    fingerprint = Fingerprinter(KEY, 12)
    assert fingerprint("https://example.org/") == "4ce.-2481784568731126483"
    assert fingerprint.seed_parent(b"https://example.org/\n") == "s.ee4ea322727dec3bb9c26fe689aeb6a5"


@given(st.text(), st.integers(min_value=0, max_value=40))
def test_it_is_a_bucket_and_a_signed_64_bit_integer(url, bucket_bits):
    text = Fingerprinter(KEY, bucket_bits)(url.encode("utf-8", "replace").decode())
    match = re.fullmatch(r"([0-9a-f]+)\.(-?\d+)", text)
    assert 0 <= int(match[1], 16) < 2**bucket_bits
    assert -(2**63) <= int(match[2]) < 2**63


def test_the_member_does_not_depend_on_the_number_of_buckets_nor_tell_the_bucket():
    few, many = Fingerprinter(KEY, 2), Fingerprinter(KEY, 16)
    urls = [f"https://example.org/{i}" for i in range(100)]
    assert [few(url).split(".")[1] for url in urls] == [many(url).split(".")[1] for url in urls]
    assert [int(few(url).split(".")[0], 16) for url in urls] == [int(many(url).split(".")[0], 16) >> 14 for url in urls]


def test_another_key_gives_other_fingerprints():
    assert Fingerprinter(KEY, 4)("https://example.org/") != Fingerprinter(KEY[::-1], 4)("https://example.org/")
    for wrong in (b"", bytes(65)):
        with pytest.raises(ValueError, match="key"):
            Fingerprinter(wrong, 4)


def test_a_seed_batch_has_a_parent_of_its_own_that_is_no_url():
    fingerprint = Fingerprinter(KEY, 4)
    assert fingerprint.seed_parent(b"a\nb") == fingerprint.seed_parent(b"a\nb")
    assert fingerprint.seed_parent(b"a\nb") != fingerprint.seed_parent(b"a\nc")
    assert is_synthetic(fingerprint.seed_parent(b"a"))
    assert not is_synthetic(fingerprint("a"))


@pytest.mark.parametrize(
    ("expected_urls", "bits"), [(1, 0), (350, 0), (351, 1), (700, 1), (701, 2), (1_000_000, 12), (10**9, 22)]
)
def test_there_are_as_few_buckets_as_keep_their_mean_size(expected_urls, bits):
    assert bucket_bits_for(expected_urls) == bits
    assert expected_urls / 2**bits <= MEAN_BUCKET_MEMBERS


def test_buckets_stay_small_arrays_at_the_declared_size():
    expected_urls = MEAN_BUCKET_MEMBERS * 2**8  # the fullest that buckets are ever planned to be
    fingerprint = Fingerprinter(KEY, bucket_bits_for(expected_urls))
    sizes = Counter(fingerprint(f"https://example.org/page/{i}").split(".")[0] for i in range(expected_urls))
    assert len(sizes) == 2**8
    assert max(sizes.values()) <= 512
