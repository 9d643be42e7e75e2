import pytest

from crawl_consumer.fetch import FailureKind, FetchFailure, Response
from crawl_consumer.outcome import (
    Dead,
    Finish,
    Park,
    Retry,
    defect,
    forbidden,
    judge,
    pushback_ms,
    spider_raised,
    unparsable,
)
from crawl_consumer.robots import Blocked, Denied, Unreachable
from crawl_producer.topology import RetrySpec

POLICY = RetrySpec(max_attempts=3, first_delay_s=10, factor=4, max_delay_s=60)


def response(status, **headers):
    return Response(url="https://example.org/", status=status, headers=headers, body=b"")


def verdict(result, attempt=0):
    return judge(result, attempt=attempt, retry=POLICY, jitter=0.5)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_ok(status):
    assert verdict(response(status)) == Finish("ok")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_with_a_location_is_done_and_followed(status):
    assert verdict(response(status, location="/b")) == Finish("redirect")


def test_a_redirect_without_a_location_is_only_done():
    assert verdict(response(301)) == Finish("http_301")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_client_error_is_final_and_no_failure(status):
    assert verdict(response(status)) == Finish(f"http_{status}")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_not_now_is_retried_and_dies_at_last(status):
    assert verdict(response(status)) == Retry(f"http_{status}", 10)
    assert verdict(response(status), attempt=1) == Retry(f"http_{status}", 40)
    assert verdict(response(status), attempt=2) == Dead(f"failed_http_{status}", f"http_{status}")


@pytest.mark.parametrize("kind", [k for k in FailureKind if k not in {FailureKind.TOO_LARGE, FailureKind.BLOCKED}])
def test_a_failure_on_the_way_is_retried_and_dies_at_last(kind):
    failure = FetchFailure(kind, "somewhere", 1.0)
    assert verdict(failure) == Retry(kind.value, 10)
    assert verdict(failure, attempt=2) == Dead(f"failed_{kind.value}", f"{kind.value}: somewhere")


def test_a_page_above_the_limit_is_final():
    assert verdict(FetchFailure(FailureKind.TOO_LARGE, "9 MiB", 1.0)) == Finish("too_large")


def test_what_the_crawls_rules_refuse_is_final_and_no_dead_letter():
    assert verdict(FetchFailure(FailureKind.BLOCKED, "127.0.0.1 is not a public address", 1.0)) == Finish("blocked")


def test_a_page_that_would_do_harm_to_parse_is_final_and_an_error_page_stays_what_it_is():
    assert unparsable(Finish("ok")) == Finish("unparsable")
    assert unparsable(Finish("http_404")) == Finish("http_404")
    assert unparsable(Retry("http_503", 10)) == Retry("http_503", 10)


def test_delays_are_capped_and_spread():
    patient = RetrySpec(max_attempts=99, first_delay_s=10, factor=10, max_delay_s=60)
    delays = [judge(response(500), attempt=9, retry=patient, jitter=j).delay_s for j in (0.0, 0.5, 1.0)]
    assert delays == [30, 60, 90]


@pytest.mark.parametrize("status", [429, 503, 500])
def test_no_retry_comes_before_a_retry_after(status):
    asked = response(status, **{"retry-after": "7200"})
    assert verdict(asked) == Retry(f"http_{status}", 7200)
    assert verdict(response(status, **{"retry-after": "1"})) == Retry(f"http_{status}", 10)
    assert isinstance(verdict(asked, attempt=2), Dead)


def test_a_date_counts_from_when_the_answer_came():
    asked = Response(
        url="https://example.org/", status=503, fetched_at=784111777.0, elapsed_ms=2000,
        headers={"retry-after": "Sun, 06 Nov 1994 08:51:37 GMT"},
    )  # fmt: skip
    assert verdict(asked) == Retry("http_503", 118)


def test_429_and_503_speak_of_the_host_and_nothing_else_does():
    assert [pushback_ms(response(status)) for status in (429, 503)] == [0, 0]
    assert pushback_ms(response(429, **{"retry-after": "5"})) == 5000
    assert [pushback_ms(response(status)) for status in (200, 404, 500, 408)] == [None] * 4
    assert pushback_ms(FetchFailure(FailureKind.TIMEOUT, "slow", 1.0)) is None


def test_a_spider_that_raised_dies_at_once():
    assert spider_raised("ValueError: x") == Dead("failed_spider", "spider raised: ValueError: x")


def test_a_defect_is_tried_elsewhere_and_dies_at_last():
    assert isinstance(defect("KeyError()", attempt=0, retry=POLICY), Retry)
    assert defect("KeyError()", attempt=2, retry=POLICY) == Dead("failed_defect", "defect: KeyError()")


def test_robots_txt_ends_a_url_or_lets_it_wait():
    assert forbidden(Denied()) == Finish("robots_denied")
    assert forbidden(Blocked("127.0.0.1 is not a public address")) == Finish("blocked")
    assert forbidden(Unreachable(retry_after_s=300)) == Park(300)
