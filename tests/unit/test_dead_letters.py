from datetime import UTC, datetime

import pytest

from crawl_producer.dead_letters import Letter, Wanted, queues_of
from crawl_producer.dead_stats import DeadStats
from crawl_producer.errors import UnknownName
from dead_kit import TOPOLOGY, body, headers, url


class Came:
    """A delivery that only has contents."""

    def __init__(self, body, headers, message_id="id"):
        self.body, self.headers, self.message_id, self.doubt = body, headers, message_id, ""


def letter(n=0, message=None, **changes):
    return Letter.of(Came(body(n) if message is None else message, headers(n, **changes)), queue="q", crawl="c")


def test_a_letter_tells_what_its_consumer_wrote():
    told = letter(5, reason="http_503", status=503)
    assert (told.reason, told.kind, told.outcome, told.status, told.attempts) == (
        "http_503", "http_503", "failed_timeout", 503, 4,
    )  # fmt: skip
    assert (told.url, told.host, told.died_ms, told.first_seen_ms) == (url(5), "site2.example", 6000, 1)
    assert told.unreadable == ""


def test_what_was_no_status_is_none():
    assert letter(status=0).status is None


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\xff\x00", "body: Invalid JSON"),
        (b'{"v":1,"crawl":"other","url":"https://a.example/"}', "a URL of crawl 'other'"),
        (b'{"v":1,"crawl":"c","url":"https://A.example/"}', "url: not canonical"),
        (b"x" * 5000, "message of 5000 bytes"),
    ],
)
def test_what_is_no_message_of_its_crawl_has_no_url_and_says_why(message, why):
    told = letter(message=message)
    assert (told.message, told.url, told.host) == (None, "", "")
    assert told.unreadable.startswith(why)


def test_a_victim_of_the_delivery_limit_is_told_by_the_brokers_newest_note():
    deaths = [
        {"reason": "delivery_limit", "queue": "q.due", "time": datetime(2026, 1, 2, tzinfo=UTC), "count": 1},
        {"reason": "expired", "queue": "crawl.delay.250", "time": datetime(2026, 1, 1, tzinfo=UTC), "count": 1},
    ]
    came = Came(body(1, attempt=2, first_seen_ms=7), {"x-death": deaths, "x-first-death-reason": "expired"})
    told = Letter.of(came, queue="q", crawl="c")
    assert (told.reason, told.outcome, told.attempts, told.first_seen_ms) == ("delivery_limit", "", 2, 7)
    assert told.died_ms == 1_767_312_000_000


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"x-death": "none"},
        {"x-death": []},
        {"x-death": [None]},
        {"x-death": [{"reason": 5, "time": "yesterday"}]},
        {"crawl-reason": 7, "crawl-died-ms": "soon", "crawl-attempts": None},
    ],
)
def test_headers_that_a_stranger_wrote_are_only_unknown(strange):
    told = Letter.of(Came(body(1), strange), queue="q", crawl="c")
    assert (told.reason, told.outcome, told.died_ms, told.identity) == ("unknown", "", None, "0")


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(reason="timeout"), True),
        (Wanted(reason="timeout: 30*"), True),
        (Wanted(reason="time*"), True),
        (Wanted(reason="http_*"), False),
        (Wanted(host="site0.example"), True),
        (Wanted(host="*.Example"), True),
        (Wanted(host="example"), False),
        (Wanted(died_before_ms=1001), True),
        (Wanted(died_before_ms=1000), False),
        (Wanted(died_after_ms=999), True),
        (Wanted(died_after_ms=1000), False),
        (Wanted(id="id"), True),
        (Wanted(id=url(0)), True),
        (Wanted(id=url(1)), False),
        (Wanted(reason="timeout", host="other.example"), False),
    ],
)
def test_a_letter_is_wanted_when_everything_fits(wanted, takes):
    assert wanted.takes(letter(0)) is takes


def test_a_letter_whose_age_nobody_knows_is_neither_older_nor_newer():
    told = Letter.of(Came(body(1), {}), queue="q", crawl="c")
    assert not Wanted(died_before_ms=1 << 60).takes(told)
    assert not Wanted(died_after_ms=0).takes(told)


def test_queues_are_chosen_by_pattern_and_crawl():
    assert queues_of(TOPOLOGY) == ("q", "m.a", "m.b")
    assert queues_of(TOPOLOGY, pattern="m.*") == ("m.a", "m.b")
    assert queues_of(TOPOLOGY, pattern="dead.m.a") == ("m.a",)
    assert queues_of(TOPOLOGY, crawl="c") == ("q",)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"pattern": "z.*"}, r"no queue matches 'z\.\*'"),
        ({"crawl": "z"}, "no queue of crawl 'z'"),
        ({"pattern": "q", "crawl": "m"}, "no queue matches 'q' of crawl 'm'"),
    ],
)
def test_no_such_queue_is_an_error_that_lists_them(chosen, said):
    with pytest.raises(UnknownName, match=said) as error:
        queues_of(TOPOLOGY, **chosen)
    assert "q, m.a, m.b" in error.value.remedy


def test_stats_count_by_queue_reason_host_and_age():
    stats = DeadStats(now_ms=7_200_000)
    for n in range(6):
        stats.add(letter(n))
    stats.add(letter(7, reason="undecodable: v", message=b"", died_ms=7_199_999))
    stats.add(Letter.of(Came(body(1), {}), queue="q", crawl="c"))
    told = stats.as_dict(2)
    assert told["letters"] == 8
    assert told["queues"] == {"q": 8}
    assert told["reasons"] == {"timeout": 6, "undecodable": 1, "unknown": 1}
    assert told["hosts"] == {"site1.example": 3, "site0.example": 2}
    assert told["distinct_hosts"] == 4
    assert told["ages"] == {"under an hour": 1, "under a day": 6, "unknown": 1}
    assert (told["oldest_ms"], told["newest_ms"]) == (1000, 7_199_999)
