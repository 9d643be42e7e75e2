"""The oracles: what the evidence of a crawl must show, computed from the site's plan alone.

Every complaint is one sentence; a run without any has passed.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crawl_dev.chaos import verdict_archive, verdict_manners
from crawl_dev.chaos.complaint import some
from crawl_dev.chaos.evidence import Evidence, Record
from crawl_dev.chaos.faults import Fault, Fetch
from crawl_dev.chaos.plan import RECORDED, Kind, PagePlan, SitePlan


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the oracles say.

    Attributes:
        urls: reachable ones, all of which had to be fetched, but for those that may not be.
        lost: they had to be fetched and never were.
        explained: fetches beyond the planned ones that a fault explains.
        unexplained: those that none does.
        complaints: every oracle that failed, the two above among them.
    """

    urls: int
    lost: int
    explained: int
    unexplained: int
    complaints: tuple[str, ...]


#: A message that a fault has doubled may lie in a queue for so long before its page is fetched for the first time;
#: where hosts have their turns, as long as their rows are.
_DOUBLED_S = 30.0
#: How a host's robots.txt is asked for: once, by one consumer for all.
_ROBOTS = PagePlan(-1, Kind.TEXT)


def judge(plan: SitePlan, evidence: Evidence, *, exact: bool = True, rolled_back: bool = False) -> Verdict:
    """All oracles.

    Args:
        plan: what there was to find.
        evidence: what was found.
        exact: seeds went in once, and Redis lost nothing: then even the duplicates are known in advance.
        rolled_back: Redis lost its last writes: what was done and acknowledged then, and what was found there, may
            be in no book. It was fetched and recorded all the same.
    """
    to_fetch = {url: page for url, page in plan.reachable.items() if page.fetches}
    lost = to_fetch.keys() - {fetch.url for fetch in evidence.fetches}
    extra = _extra_fetches(plan, evidence)
    complaints = [
        *some("lost", sorted(lost)),
        *some("fetched again without a reason", extra.unexplained),
        *some("fetched though nothing links there", _strayed(plan, evidence)),
        *some("fetched though robots.txt forbids it", _forbidden(plan, evidence)),
        *_records(plan, evidence, extra.again),
        *_dead_letters(plan, evidence, extra.again),
        *_books(plan, evidence, exact=exact, rolled_back=rolled_back),
        *some("still in queues", [f"{name} {depth}" for name, depth in evidence.ready.items()]),
        *some("left over in Redis", evidence.leftovers),
        *verdict_manners.complaints(plan, evidence.fetches, pause_s=evidence.pause_s),
    ]
    if evidence.archive is not None:
        deaths = sum(fault.name == "kill" for fault in evidence.faults)
        complaints += verdict_archive.complaints(plan, evidence.fetches, evidence.archive, deaths=deaths)
    explained = extra.number - len(extra.unexplained)
    return Verdict(len(plan.reachable), len(lost), explained, len(extra.unexplained), tuple(complaints))


def together(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The sums of the verdicts on several groups, by their names; what is complained of says of whom."""
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    return Verdict(
        urls=sum(one.urls for one in verdicts.values()),
        lost=sum(one.lost for one in verdicts.values()),
        explained=sum(one.explained for one in verdicts.values()),
        unexplained=sum(one.unexplained for one in verdicts.values()),
        complaints=tuple(f"{name}: {said}" for name, one in verdicts.items() for said in one.complaints),
    )


@dataclass(frozen=True, slots=True)
class _Extra:
    """Fetches beyond the planned ones: how many, the unexplained ones, and the URLs of all."""

    number: int
    unexplained: Sequence[str]
    again: frozenset[str]


def _extra_fetches(plan: SitePlan, evidence: Evidence) -> _Extra:
    fetches: dict[str, list[Fetch]] = defaultdict(list)
    for fetch in evidence.fetches:
        fetches[fetch.url].append(fetch)
    charges = _Charges(evidence.faults, doubled_s=math.inf if plan.manners else _DOUBLED_S)
    number, unexplained, again = 0, [], set()
    asked = {url: page for url, page in plan.reachable.items() if page.fetches}
    asked |= dict.fromkeys(plan.robots, _ROBOTS)
    # Pages that are never retried come first: only for them every repetition is an extra fetch.
    for url, page in sorted(asked.items(), key=lambda one: one[1].fetches):
        if (extra := len(fetches[url]) - page.fetches) > 0:
            number += extra
            again.add(url)
            covered = charges.cover(page, fetches[url], extra)
            unexplained += [_told(fetches[url])] * (extra - covered)
    return _Extra(number, unexplained, frozenset(again))


class _Charges:
    """Extra fetches, charged to faults: to each as many as it can account for.

    Args:
        faults: the log.
        doubled_s: for how long a message that one of them has doubled may lie in queues, before its page is fetched
            for the first time.
    """

    def __init__(self, faults: Sequence[Fault], *, doubled_s: float) -> None:
        self._faults = faults
        self._doubled_s = doubled_s
        self._spent: Counter[int] = Counter()

    def cover(self, page: PagePlan, fetches: Sequence[Fetch], extra: int) -> int:
        """How many of ``extra`` fetches of a page are explained.

        A page that is retried begins again with its first attempt, so one cause accounts for all of them.
        """
        covered = 0
        if page.fetches > 1:
            first_s, last_s = fetches[0].at_s - self._doubled_s, fetches[-1].at_s
            doubled = sum(
                fault.doubled and fault.start_s <= last_s and fault.end_s >= first_s for fault in self._faults
            )
            covered = page.fetches * doubled
        for pair in pairwise(fetches):
            if covered < extra and self._charge(*pair):
                covered += page.fetches
        return min(covered, extra)

    def _charge(self, earlier: Fetch, later: Fetch) -> bool:
        for number, fault in enumerate(self._faults):
            if fault.explains(earlier, later) and (fault.at_most is None or self._spent[number] < fault.at_most):
                self._spent[number] += 1
                return True
        return False


def _told(fetches: Iterable[Fetch]) -> str:
    times = [(fetch.url, f"{fetch.consumer} at {fetch.at_s:.2f} ({fetch.status})") for fetch in fetches]
    return f"{times[0][0]} by {', '.join(time for _, time in times)}"


def _strayed(plan: SitePlan, evidence: Evidence) -> list[str]:
    return sorted({fetch.url for fetch in evidence.fetches} - plan.reachable.keys() - plan.robots.keys())


def _forbidden(plan: SitePlan, evidence: Evidence) -> list[str]:
    forbidden = {url for url, page in plan.reachable.items() if not page.fetches}
    return sorted({fetch.url for fetch in evidence.fetches} & forbidden)


def _records(plan: SitePlan, evidence: Evidence, again: frozenset[str]) -> Iterator[str]:
    expected = {url: page for url, page in plan.reachable.items() if page.kind in RECORDED}
    number = Counter(record.url for record in evidence.records)
    yield from some("have no record", sorted(expected.keys() - number.keys()))
    yield from some("have a record and should not", sorted(number.keys() - expected.keys()))
    fetched = Counter(fetch.url for fetch in evidence.fetches if fetch.status == 200)
    double = [url for url, times in number.items() if times > 1 and (url not in again or times > fetched[url])]
    yield from some("recorded more often than explained", double)
    wrong = [r.url for r in evidence.records if r.url in expected and not _right(plan, expected[r.url], r)]
    yield from some("recorded with another title or other links", wrong)


def _right(plan: SitePlan, page: PagePlan, record: Record) -> bool:
    title = None if page.kind is Kind.TEXT else plan.title(page.number)
    return (record.title, record.links) == (title, page.urls)


def _dead_letters(plan: SitePlan, evidence: Evidence, again: frozenset[str]) -> Iterator[str]:
    expected = {url for url, page in plan.reachable.items() if page.outcome.startswith("failed_")}
    yield from some("died and have no dead letter", sorted(expected - evidence.dead.keys()))
    yield from some("have a dead letter and should not", sorted(evidence.dead.keys() - expected))
    double = {url for url, letters in evidence.dead.items() if letters > 1} - again
    excused = {f.url for f in evidence.fetches if f.url in double and any(x.hid_confirm(f) for x in evidence.faults)}
    yield from some("have several dead letters without a reason", sorted(double - excused))


def _books(plan: SitePlan, evidence: Evidence, *, exact: bool, rolled_back: bool) -> Iterator[str]:
    counts = evidence.books.counts
    if not evidence.books.complete:
        yield f"not complete: {counts['open']} open, {evidence.books.outboxes} outboxes"
    if counts["admitted"] > len(plan.reachable) or (counts["admitted"] < len(plan.reachable) and not rolled_back):
        yield f"{counts['admitted']} admitted, {len(plan.reachable)} reachable"
    outcomes = Counter({k.removeprefix("outcome:"): n for k, n in counts.items() if k.startswith("outcome:") and n})
    if outcomes - plan.outcomes or (plan.outcomes - outcomes and not rolled_back):
        yield f"outcomes {dict(outcomes)}, planned {dict(plan.outcomes)}"
    filtered = sum(n for name, n in counts.items() if name.startswith("filtered:"))
    found = counts["admitted"] - counts["adopted"] + counts["duplicate"] + filtered
    if counts["discovered"] != found:
        yield f"{counts['discovered']} discovered, {found} admitted, duplicate or filtered"
    planned = (plan.discovered + len(plan.seeds), plan.filtered)
    if exact and not rolled_back and (counts["discovered"], filtered) != planned:
        yield f"{counts['discovered']} discovered and {filtered} filtered, planned {planned[0]} and {planned[1]}"
