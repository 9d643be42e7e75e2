import pytest

from crawl_consumer.fetch import FailureKind, FetchFailure, Response
from crawl_consumer.outcome import Dead, Finish, Park, Retry, defect, forbidden, judge, spider_raised
from crawl_consumer.robots import Allowed, Denied, Unreachable
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


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not FailureKind.TOO_LARGE])
def test_a_failure_on_the_way_is_retried_and_dies_at_last(kind):
    failure = FetchFailure(kind, "somewhere", 1.0)
    assert verdict(failure) == Retry(kind.value, 10)
    assert verdict(failure, attempt=2) == Dead(f"failed_{kind.value}", f"{kind.value}: somewhere")


def test_a_page_above_the_limit_is_final():
    assert verdict(FetchFailure(FailureKind.TOO_LARGE, "9 MiB", 1.0)) == Finish("too_large")


def test_delays_are_capped_and_spread():
    patient = RetrySpec(max_attempts=99, first_delay_s=10, factor=10, max_delay_s=60)
    delays = [judge(response(500), attempt=9, retry=patient, jitter=j).delay_s for j in (0.0, 0.5, 1.0)]
    assert delays == [30, 60, 90]


def test_a_spider_that_raised_dies_at_once():
    assert spider_raised("ValueError: x") == Dead("failed_spider", "spider raised: ValueError: x")


def test_a_defect_is_tried_elsewhere_and_dies_at_last():
    assert isinstance(defect("KeyError()", attempt=0, retry=POLICY), Retry)
    assert defect("KeyError()", attempt=2, retry=POLICY) == Dead("failed_defect", "defect: KeyError()")


def test_robots_txt_lets_a_url_pass_ends_it_or_lets_it_wait():
    assert forbidden(Allowed(crawl_delay_s=3)) is None
    assert forbidden(Denied()) == Finish("robots_denied")
    assert forbidden(Unreachable(retry_after_s=300)) == Park(300)
