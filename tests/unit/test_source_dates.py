"""Dates of sitemaps and feeds, and what --since makes of them."""

import time
from datetime import UTC, datetime

import pytest

from crawl_producer.since import since_ms
from crawl_producer.sources.modified import latest_ms


def ms(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        ("2026", ms(2027, 1, 1)),
        ("2026-12", ms(2027, 1, 1)),
        ("2026-02", ms(2026, 3, 1)),
        ("2026-02-03", ms(2026, 2, 4)),
        ("2026-02-03T04:05Z", ms(2026, 2, 3, 4, 5)),
        (" 2026-02-03T04:05:06.123456789+01:00\n", ms(2026, 2, 3, 3, 5, 6) + 123),
        ("2026-02-03T04:05:06", ms(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03 04:05:06", ms(2026, 2, 3, 4, 5, 6)),
        ("Tue, 03 Feb 2026 04:05:06 GMT", ms(2026, 2, 3, 4, 5, 6)),
        ("Tue, 03 Feb 2026 04:05:06 -0500", ms(2026, 2, 3, 9, 5, 6)),
    ],
)
def test_a_date_means_its_last_moment(text, latest):
    assert latest_ms(text) == latest


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13", "2026-02-30", "0000", "9999", "9999-12-31", "1" * 5000, "Tue,"]
)
def test_what_is_no_date_is_not_said(text):
    assert latest_ms(text) is None


def test_since_takes_days_moments_and_spans():
    assert since_ms("2026-02-03") == ms(2026, 2, 3)
    assert since_ms("2026-02-03T01:00+01:00") == ms(2026, 2, 3)
    before_ms = time.time() * 1000
    assert before_ms - 86_400_000 - 1 <= since_ms("24h") <= time.time() * 1000 - 86_400_000


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-02-03T01:00", ""])
def test_since_says_what_it_takes(text):
    with pytest.raises(ValueError, match="write 2026-12-01"):
        since_ms(text)
