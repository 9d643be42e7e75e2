"""The oracle of politeness bites: a polite log passes, and each rudeness in it is named."""

from dataclasses import replace

import pytest

from crawl_dev.chaos.faults import Fetch
from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.plan import SitePlan
from crawl_dev.chaos.verdict_manners import complaints

MANNERS = Manners(delay_s=0.3, crawl_delay_s=0.5, retry_after_s=2)
PLAN = SitePlan(3, 400, manners=MANNERS)
PAUSE_S = 0.2
#: Of the host with the longer delay, and of another one.
SLOW, OTHER = PLAN.url(0), PLAN.url(1)


def robots(url):
    return url.partition("/p/")[0] + "/robots.txt"


def said(url, *gaps_s, status=200, plan=PLAN):
    """What is said of a host that is asked for robots.txt, and then for a page after each of these gaps."""
    fetches = [Fetch(10.0, "c1", robots(url), 200)]
    for gap_s in gaps_s:
        fetches.append(Fetch(fetches[-1].at_s + PAUSE_S + gap_s, f"c{len(fetches)}", url, status))
    return "\n".join(complaints(plan, fetches, pause_s=PAUSE_S))


@pytest.mark.parametrize(("url", "delay_s"), [(OTHER, 0.3), (SLOW, 0.5)])
def test_a_delay_lies_between_an_answer_and_the_next_request(url, delay_s):
    assert said(url, delay_s, delay_s - 0.005, 9.0) == ""
    assert "2 requests sooner than the delay" in said(url, delay_s - 0.02, delay_s, delay_s - 0.1)


def test_requests_that_overlap_are_too_soon():
    assert f"{OTHER} by c1, -0.100 s after c1's answer" in said(OTHER, -0.1)


def test_a_host_that_asked_to_be_left_alone_is_left_alone():
    assert said(OTHER, 0.3, 2.0, status=503) == ""
    assert "1 requests to a host that had asked to be left alone" in said(OTHER, 0.3, 1.9, status=503)


def test_hosts_do_not_wait_for_each_other():
    fetches = [Fetch(10.0, "c1", robots(url), 200) for url in (SLOW, OTHER)]
    fetches += [Fetch(10.7, "c1", url, 200) for url in (SLOW, OTHER)]
    assert list(complaints(PLAN, fetches, pause_s=PAUSE_S)) == []


def test_no_page_comes_before_robots_txt():
    fetches = [Fetch(10.0, "c1", OTHER, 200), Fetch(20.0, "c1", robots(OTHER), 200)]
    assert "1 hosts asked for a page before their robots.txt" in "\n".join(complaints(PLAN, fetches, pause_s=0))


def test_whoever_asks_for_robots_txt_again_cannot_know_of_the_longer_delay():
    fetches = [Fetch(10.0 + 0.55 * n, "c1", robots(SLOW), 200) for n in range(2)]
    assert list(complaints(PLAN, fetches, pause_s=PAUSE_S)) == []


def test_a_site_without_manners_takes_everything():
    assert said(SLOW, 0.0, 0.0, plan=SitePlan(3, 400)) == ""
    assert said(SLOW, 0.4, plan=SitePlan(3, 400, manners=replace(MANNERS, crawl_delay_s=0.3))) == ""
