"""The oracles of chaos runs have teeth: a flawless crawl passes, and each flaw in its evidence is named."""

from collections import Counter
from dataclasses import replace

import pytest

from crawl_dev.chaos.books import Books
from crawl_dev.chaos.evidence import Evidence, Record
from crawl_dev.chaos.faults import Fault, Fetch
from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.plan import RECORDED, Kind, SitePlan
from crawl_dev.chaos.verdict import judge, together
from crawl_dev.chaos.warc_files import Archive

PLAN = SitePlan(3, 400)
OK_URL = next(url for url, page in PLAN.reachable.items() if page.kind is Kind.OK)
DOWN_URL = next(url for url, page in PLAN.reachable.items() if page.kind is Kind.DOWN)
MISSING_URL = next(url for url, page in PLAN.reachable.items() if page.kind is Kind.MISSING)
KILL = Fault("kill", 500.0, 500.1, frozenset({"c1"}), at_most=2, after_s=1, doubled=True)


def flawless():
    """The evidence of a crawl that nobody disturbed."""
    fetches = [Fetch(100.0 + n, "c1", url, 200) for url, page in PLAN.reachable.items() for n in range(page.fetches)]
    recorded = {url: page for url, page in PLAN.reachable.items() if page.kind in RECORDED}
    counts = Counter({f"outcome:{outcome}": n for outcome, n in PLAN.outcomes.items()})
    counts |= {"admitted": len(PLAN.reachable), "discovered": PLAN.discovered + len(PLAN.seeds)}
    counts["filtered:host"] = PLAN.filtered
    counts["duplicate"] = counts["discovered"] - counts["admitted"] - PLAN.filtered
    return Evidence(
        fetches=fetches,
        faults=[],
        records=[Record(url, title(page), page.urls) for url, page in recorded.items()],
        books=Books(counts),
        dead=Counter(url for url, page in PLAN.reachable.items() if page.kind is Kind.DOWN),
    )


def title(page):
    return None if page.kind is Kind.TEXT else PLAN.title(page.number)


def again(url, consumer, at_s):
    return Fetch(at_s, consumer, url, 200)


def complaints(**flaws):
    return "\n".join(judge(PLAN, replace(flawless(), **flaws)).complaints)


def books(**changes):
    return Books(Counter({**flawless().books.counts, **changes}))


def test_a_flawless_crawl_passes():
    verdict = judge(PLAN, flawless())
    assert verdict.complaints == ()
    assert (verdict.urls, verdict.lost, verdict.explained, verdict.unexplained) == (len(PLAN.reachable), 0, 0, 0)


def test_a_page_that_was_never_fetched_is_lost():
    fetches = [fetch for fetch in flawless().fetches if fetch.url != OK_URL]
    verdict = judge(PLAN, replace(flawless(), fetches=fetches))
    assert verdict.lost == 1
    assert f"1 lost: {OK_URL}" in verdict.complaints


def test_a_page_that_nothing_links_to_must_not_be_fetched():
    island = PLAN.url(PLAN.size)
    assert "nothing links there" in complaints(fetches=[*flawless().fetches, again(island, "c1", 1.0)])


def test_a_second_fetch_needs_a_fault():
    twice = [*flawless().fetches, again(OK_URL, "c2", 600.0)]
    assert "1 fetched again without a reason" in complaints(fetches=twice)
    verdict = judge(PLAN, replace(flawless(), fetches=twice, faults=[KILL]))
    assert (verdict.complaints, verdict.explained) == ((), 1)


@pytest.mark.parametrize(
    "fault",
    [
        replace(KILL, consumers=frozenset({"c2"})),
        replace(KILL, start_s=700.0, end_s=700.0),
        replace(KILL, start_s=50.0, end_s=50.0),
        replace(KILL, at_most=0),
        replace(KILL, before_s=100.0),
        Fault("terminate", 500.0, 500.1),
    ],
    ids=["another's death", "after it", "long before it", "of nothing in hand", "out of its reach", "in good order"],
)
def test_a_fault_that_had_nothing_to_do_with_it_explains_nothing(fault):
    verdict = judge(
        PLAN, replace(flawless(), fetches=[*flawless().fetches, again(OK_URL, "c2", 600.0)], faults=[fault])
    )
    assert (verdict.explained, verdict.unexplained) == (0, 1)


def test_one_death_explains_as_many_fetches_as_the_dead_had_in_hand():
    urls = [url for url, page in PLAN.reachable.items() if page.kind is Kind.OK][:3]
    more = [again(url, "c2", 600.0) for url in urls]
    verdict = judge(PLAN, replace(flawless(), fetches=[*flawless().fetches, *more], faults=[KILL]))
    assert (verdict.explained, verdict.unexplained) == (2, 1)


def test_a_zombie_explains_its_own_late_fetch():
    first, late = again(OK_URL, "c2", 550.0), again(OK_URL, "c1", 601.0)
    frozen = replace(KILL, end_s=600.0, survived=True)
    fetches = [fetch for fetch in flawless().fetches if fetch.url != OK_URL]
    assert judge(PLAN, replace(flawless(), fetches=[*fetches, first, late], faults=[frozen])).unexplained == 0
    assert judge(PLAN, replace(flawless(), fetches=[*fetches, first, late], faults=[KILL])).unexplained == 1


def test_a_page_that_is_retried_may_be_tried_by_two_copies_of_its_message_if_a_fault_made_them():
    fetches = [*flawless().fetches, *(again(DOWN_URL, "c2", 600.0 + n) for n in range(2))]
    other = replace(KILL, consumers=frozenset({"nobody"}))
    assert judge(PLAN, replace(flawless(), fetches=fetches, faults=[other])).unexplained == 0
    assert judge(PLAN, replace(flawless(), fetches=fetches)).unexplained == 2


def test_records_are_those_of_the_plan():
    records = flawless().records
    assert "1 have no record" in complaints(records=records[1:])
    assert "1 have a record and should not" in complaints(records=[*records, Record(MISSING_URL, "x", 0)])
    assert "1 recorded more often than explained" in complaints(records=[*records, records[0]])
    for wrong in (replace(records[0], title="page 5 of 4"), replace(records[0], links=records[0].links + 1)):
        assert "1 recorded with another title or other links" in complaints(records=[wrong, *records[1:]])


def test_a_second_record_needs_a_second_fetch():
    fetches = [*flawless().fetches, again(OK_URL, "c2", 600.0)]
    record = next(record for record in flawless().records if record.url == OK_URL)
    assert complaints(fetches=fetches, faults=[KILL], records=[*flawless().records, record]) == ""
    thrice = [*flawless().records, record, record]
    assert "recorded more often" in complaints(fetches=fetches, faults=[KILL], records=thrice)


def test_dead_letters_are_those_of_the_plan():
    dead = flawless().dead
    assert "died and have no dead letter" in complaints(dead=dead - Counter([DOWN_URL]))
    assert "have a dead letter and should not" in complaints(dead=dead + Counter([OK_URL]))
    assert "several dead letters" in complaints(dead=dead + Counter([DOWN_URL]))


def test_a_dead_letter_is_doubled_by_what_hid_its_confirm_and_by_nothing_else():
    twice = flawless().dead + Counter([DOWN_URL])
    last_s = max(fetch.at_s for fetch in flawless().fetches if fetch.url == DOWN_URL)
    lost = Fault("close connections", last_s + 1, last_s + 2, consumers=None, before_s=3, after_s=3, only_retried=True)
    assert complaints(dead=twice, faults=[lost]) == ""
    assert "several dead letters" in complaints(dead=twice, faults=[replace(lost, before_s=0.5)])
    assert "several dead letters" in complaints(dead=twice, faults=[replace(lost, only_retried=False)])


def test_the_books_add_up_to_the_unit():
    counts = flawless().books.counts
    assert "not complete" in complaints(books=books(open=1))
    assert "not complete" in complaints(books=Books(counts, outboxes=1))
    assert "admitted" in complaints(books=books(admitted=counts["admitted"] + 1))
    assert "outcomes" in complaints(books=books(**{"outcome:ok": counts["outcome:ok"] - 1}))
    assert "discovered" in complaints(books=books(duplicate=counts["duplicate"] + 1))
    both = books(duplicate=counts["duplicate"] + 1, discovered=counts["discovered"] + 1)
    assert "planned" in complaints(books=both)
    assert judge(PLAN, replace(flawless(), books=both), exact=False).complaints == ()


def test_nothing_stays_in_queues_or_in_redis():
    assert "still in queues: chaos.pages 2" in complaints(ready={"chaos.pages": 2})
    assert "left over in Redis" in complaints(leftovers=["crawl:{chaos/main}:lease:1.2"])


def test_what_the_oracles_of_manners_and_archives_say_is_in_the_verdict():
    assert "are not in the archive" in complaints(archive=Archive())
    polite = SitePlan(3, 400, manners=Manners(0.3, 0.5, 2))
    verdict = judge(polite, Evidence([Fetch(1.0, "c1", polite.url(0), 200)], [], [], flawless().books))
    assert any("before their robots.txt" in complaint for complaint in verdict.complaints)


def test_a_page_that_robots_txt_forbids_is_not_lost_and_must_not_be_fetched():
    polite = SitePlan(3, 400, manners=Manners(0.3, 0.5, 2))
    denied = next(url for url, page in polite.reachable.items() if page.kind is Kind.DENIED)
    fetched = [Fetch(1.0, "c1", url, 200) for url, page in polite.reachable.items() if page.fetches]
    verdict = judge(polite, Evidence(fetched, [], [], flawless().books))
    assert (verdict.lost, verdict.unexplained) == (0, 0)
    verdict = judge(polite, Evidence([*fetched, Fetch(2.0, "c1", denied, 200)], [], [], flawless().books))
    assert f"1 fetched though robots.txt forbids it: {denied}" in verdict.complaints


def test_robots_txt_is_asked_for_once_unless_who_asked_was_killed():
    polite = SitePlan(3, 400, manners=Manners(0.3, 0.5, 2))
    asked = [Fetch(at_s, consumer, next(iter(polite.robots)), 200) for at_s, consumer in ((499.0, "c1"), (550.0, "c2"))]
    assert judge(polite, Evidence(asked, [], [], flawless().books)).unexplained == 1
    assert judge(polite, Evidence(asked, [KILL], [], flawless().books)).unexplained == 0


def test_of_several_groups_each_is_judged_by_itself_and_the_sums_are_told():
    good = judge(PLAN, flawless())
    bad = judge(PLAN, replace(flawless(), fetches=[fetch for fetch in flawless().fetches if fetch.url != OK_URL]))
    both = together({"archive": good, "linkcheck": bad})
    assert (both.urls, both.lost) == (2 * len(PLAN.reachable), 1)
    assert f"linkcheck: 1 lost: {OK_URL}" in both.complaints
    assert not any(complaint.startswith("archive") for complaint in both.complaints)
    assert together({"main": bad}) == bad
