"""The outcome table: what happened to one URL → what becomes of its message. Pure, total, one row a test.

==============================  =========================================  ==============================
what happened                   outcome                                    the message
==============================  =========================================  ==============================
robots.txt forbids it           ``robots_denied``                          done, nothing was fetched
robots.txt cannot be had now    none: the URL is still to do               parked, the attempt is not counted
2xx                             ``ok``                                     done, links admitted; none, or
                                                                           only filtered ones and
                                                                           duplicates, are no other row
2xx, not HTML                   ``ok``                                     done, the spider's to read; the
                                                                           default one finds no links
2xx, HTML beyond parsing        ``ok``                                     done, its tree is empty
2xx, HTML that would take too   ``unparsable``                             done; its spider gets it in
long or too much to parse                                                  ``on_fetched`` only, with no tree
301 302 303 307 308 + Location  ``redirect``                               done, the target is a new URL
other 3xx                       ``http_<status>``                          done
408 425 429 5xx                 ``failed_http_<status>`` at last           retried, then dead letter;
                                                                           not before a Retry-After
other 4xx (404, 410, 403 …)     ``http_<status>``                          done
timeout, DNS, connection, TLS,  ``failed_<kind>`` at last                  retried, then dead letter
protocol, broken compression
body above the limit            ``too_large``                              done
its address or port is refused  ``blocked``                                done, nothing was asked; so is a
                                                                           page whose robots.txt is there
the spider raised               ``failed_spider``                          dead letter at once
the spider lacks the method     ``failed_no_method``                       dead letter, not fetched
that the link named
its middleware drops the URL    ``skipped``                                done, nothing was fetched
its middleware refuses the      ``failed_refused`` at last                 retried, then dead letter; at
response                                                                   once if it says so
a defect of CrawlMQ             ``failed_defect`` at last                  retried, then dead letter
consumers died over it          ``quarantined``                            dead letter
its time was over before that   ``expired``                                done, not fetched
its host brings nothing new     ``trap``                                   done, not fetched
==============================  =========================================  ==============================

429 and 503 also act on the host: nobody asks it again before its Retry-After (:func:`pushback_ms`).
A message is acknowledged only after its successor (the links, the retry, the dead letter) is confirmed.

The other rows are no verdicts on a URL; they are how its delivery is settled, whatever the verdict
(:mod:`crawl_consumer.crawl`, :mod:`crawl_consumer.settling`, :mod:`crawl_producer.admission`):

==============================  =========================================================================
what happened                   the delivery
==============================  =========================================================================
no URL message of this crawl    acknowledged, once its bytes are a dead letter
too early                       acknowledged, once its parked copy is confirmed
URL done already (duplicate)    acknowledged, nothing is fetched
another consumer has the URL    acknowledged, once its parked copy is confirmed
links returned (no queue)       not acknowledged; the process ends, the outbox keeps the links
links nacked (a full queue)     tried again, then acknowledged once its parked copy is confirmed; the
                                outbox keeps the links, and the page is not fetched again
a successor returned or nacked  not acknowledged; the process ends
no confirm in time              published again, links a few times before the process ends; the copy of a
                                URL that is done by then is only acknowledged
connection lost before the ack  not acknowledged: the broker hands it out again, and it is continued
SIGTERM                         acknowledged, if it ends in time; else handed out again
SIGKILL                         handed out again, and continued when the dead one's lease is over
==============================  =========================================================================
"""

from dataclasses import dataclass

from crawl_consumer.response import FailureKind, FetchFailure, Response
from crawl_consumer.retry_after import retry_after_ms
from crawl_consumer.robots import Blocked, Denied, Unreachable
from crawl_producer.topology import RetrySpec

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Failures that another try would only repeat, and that are no dead letters.
_FINAL = frozenset({FailureKind.TOO_LARGE, FailureKind.BLOCKED})
#: 4xx that mean "not now" (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4); every 5xx means that too.
_NOT_NOW = frozenset({408, 425, 429})
#: Statuses that speak of the host and not of the page (RFC 6585 4, RFC 9110 15.6.4).
_PUSHBACK = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Finish:
    """The URL is done with this outcome."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The URL is tried again after ``delay_s`` seconds, for ``reason``."""

    reason: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Dead:
    """The URL is done with ``outcome``, and its message is kept as a dead letter with ``reason``."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """The URL waits ``delay_s`` seconds for its turn; this was no attempt."""

    delay_s: float


Verdict = Finish | Retry | Dead | Park


def forbidden(robots: Denied | Blocked | Unreachable) -> Finish | Park:
    """What robots.txt means for a URL that may not be fetched, or not yet."""
    match robots:
        case Denied():
            return Finish("robots_denied")
        case Blocked():
            return Finish("blocked")
        case Unreachable(retry_after_s):
            return Park(retry_after_s)


def judge(result: Response | FetchFailure, *, attempt: int, retry: RetrySpec, jitter: float) -> Verdict:
    """What a fetch means for its URL.

    Args:
        result: what the fetcher brought.
        attempt: fetches that were begun before this one.
        retry: the crawl's policy.
        jitter: 0 … 1, spreads retries over 0.5 … 1.5 times their delay, so that they do not return together.
    """
    if isinstance(result, FetchFailure):
        if result.kind in _FINAL:
            return Finish(result.kind.value)
        return _again_or_dead(str(result.kind.value), result.detail, attempt, retry, jitter)
    status = result.status
    if 200 <= status < 300:
        return Finish("ok")
    if status in _REDIRECTS and result.location:
        return Finish("redirect")
    if status in _NOT_NOW or status >= 500:
        return _not_before(_again_or_dead(f"http_{status}", "", attempt, retry, jitter), _asked_ms(result) / 1000)
    return Finish(f"http_{status}")


def unparsable(verdict: Verdict) -> Verdict:
    """What becomes of a verdict when parsing the page would do harm: it would do so again, so nobody tries."""
    return Finish("unparsable") if verdict == Finish("ok") else verdict


def pushback_ms(result: Response | FetchFailure) -> int | None:
    """For how long the host wants to be left alone: 0 when it does not say, None when it does not want that."""
    if isinstance(result, Response) and result.status in _PUSHBACK:
        return _asked_ms(result)
    return None


def spider_raised(detail: str) -> Dead:
    """A spider's own error: trying the same page again would raise it again."""
    return Dead("failed_spider", f"spider raised: {detail}")


def refused(reason: str, *, again: bool, attempt: int, retry: RetrySpec, jitter: float) -> Verdict:
    """A middleware of the spider's does not take the response."""
    if again:
        return _again_or_dead("refused", reason, attempt, retry, jitter)
    return Dead("failed_refused", f"refused: {reason}")


def no_method(detail: str) -> Dead:
    """There is nobody to parse the page: it is not even fetched."""
    return Dead("failed_no_method", f"no method: {detail}")


def defect(detail: str, *, attempt: int, retry: RetrySpec) -> Verdict:
    """Our own code failed on this page; another consumer, or a mended one, may not."""
    return _again_or_dead("defect", detail, attempt, retry, jitter=0.5)


def quarantined(trials: int) -> Dead:
    """What killed its consumer each time that it was tried alone; see :mod:`crawl_consumer.suspects`."""
    return Dead("quarantined", f"quarantined: {trials} consumers died while they worked on this URL alone")


def _again_or_dead(reason: str, detail: str, attempt: int, retry: RetrySpec, jitter: float) -> Verdict:
    if attempt + 1 >= retry.max_attempts:
        return Dead(f"failed_{reason}", f"{reason}: {detail}" if detail else reason)
    delay_s = min(retry.first_delay_s * retry.factor**attempt, retry.max_delay_s)
    return Retry(reason, delay_s * (0.5 + jitter))


def _not_before(verdict: Verdict, asked_s: float) -> Verdict:
    return Retry(verdict.reason, max(verdict.delay_s, asked_s)) if isinstance(verdict, Retry) else verdict


def _asked_ms(response: Response) -> int:
    came_s = response.fetched_at + response.elapsed_ms / 1000
    return retry_after_ms(response.headers.get("retry-after"), now_s=came_s)
