"""A synthetic site as a pure function of a seed: its pages, their statuses and links, and what a crawl of it must find.

Nothing here knows the crawler: what is reachable is a walk over the plan's own numbers.
"""

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from crawl_dev.chaos.manners import ROBOTS, Manners, robots_txt

#: Redirects in a row at most: fewer than any crawler gives up at, so that every chain has an end.
_LONGEST_CHAIN = 4
#: Pages that nothing links to, for each page that is linked: whoever asks for one has made its URL up.
_ISLANDS = 0.05
#: How far back the page is that makes a page reachable, at most: the site opens up step by step, not all at once.
_REACH = 300
#: Links of the richest page; the number of links follows a Pareto distribution, as on the web.
_MOST_LINKS, _PARETO = 40, 1.1
#: How often a page of the kind DOWN is tried before it is given up; the crawl's ``retry.max_attempts``.
MAX_ATTEMPTS = 3


class Kind(StrEnum):
    """What a page answers."""

    OK = "ok"  #: 200, HTML with links
    TEXT = "text"  #: 200, no HTML
    REDIRECT = "redirect"  #: to another page, which may redirect again
    LEAVE = "leave"  #: a redirect to a host that is no part of the site
    MISSING = "missing"  #: 404
    GONE = "gone"  #: 410
    FLAKY = "flaky"  #: 500 once, then as OK
    DOWN = "down"  #: 503 for ever
    DENIED = "denied"  #: forbidden by its host's robots.txt, where hosts have one


#: How common each kind is, in percent.
_SHARES = {Kind.OK: 84.5, Kind.TEXT: 2, Kind.REDIRECT: 6, Kind.LEAVE: 0.5,
           Kind.MISSING: 3, Kind.GONE: 1, Kind.FLAKY: 2, Kind.DOWN: 1, Kind.DENIED: 0}  # fmt: skip
#: … of those that may not be asked for, on a site with manners.
_DENIED = 3
#: Kinds whose links count.
LINKING = frozenset({Kind.OK, Kind.FLAKY})
#: Kinds that end as a record in the output.
RECORDED = frozenset({Kind.OK, Kind.FLAKY, Kind.TEXT})
_OUTCOMES = {Kind.OK: "ok", Kind.FLAKY: "ok", Kind.TEXT: "ok", Kind.REDIRECT: "redirect", Kind.LEAVE: "redirect",
             Kind.MISSING: "http_404", Kind.GONE: "http_410", Kind.DOWN: "failed_http_503",
             Kind.DENIED: "robots_denied"}  # fmt: skip
_FETCHES = {Kind.FLAKY: 2, Kind.DOWN: MAX_ATTEMPTS, Kind.DENIED: 0}


@dataclass(frozen=True, slots=True)
class PagePlan:
    """One page.

    Attributes:
        number: its number, which its path is made of.
        kind: what it answers.
        links: numbers of the pages that it links to, in document order, some of them twice.
        outside: how many links leave the site.
        mailto: whether one of its links is no web address.
        target: where a redirect leads.
    """

    number: int
    kind: Kind
    links: tuple[int, ...] = ()
    outside: int = 0
    mailto: bool = False
    target: int | None = None

    @property
    def fetches(self) -> int:
        """How often an undisturbed crawl asks for it."""
        return _FETCHES.get(self.kind, 1)

    @property
    def urls(self) -> int:
        """How many different web addresses it links to, those outside included."""
        return len(set(self.links)) + self.outside if self.kind in LINKING else 0

    @property
    def outcome(self) -> str:
        """How the crawl of it ends."""
        return _OUTCOMES[self.kind]


class SitePlan:
    """The site of a seed.

    Args:
        seed: what all randomness comes from.
        pages: how many, without the islands.
        hosts: how many; page n is on host n modulo this.
        port: where the hosts listen; it changes URLs and nothing else.
        manners: what its hosts ask of their visitors; None: nothing, and they have no robots.txt.
    """

    def __init__(
        self, seed: int, pages: int, *, hosts: int = 5, port: int = 80, manners: Manners | None = None
    ) -> None:
        self.seed, self.size, self.port, self.manners = seed, pages, port, manners
        self.hosts = tuple(f"h{n}.test" for n in range(hosts))
        rng = random.Random(f"site {seed}")  # noqa: S311 - repeatable, guards nothing
        self.pages = tuple(_pages(rng, pages, hosts, denied=_DENIED if manners else 0))

    def __repr__(self) -> str:
        return f"<SitePlan {self.seed}: {self.size} pages on {len(self.hosts)} hosts, {len(self.reachable)} reachable>"

    @property
    def seeds(self) -> list[str]:
        """One page of each host."""
        return [self.url(number) for number in range(len(self.hosts))]

    def url(self, number: int) -> str:
        """The canonical URL of a page."""
        return f"http://{self.hosts[number % len(self.hosts)]}:{self.port}/p/{number}"

    def title(self, number: int) -> str:
        """The title of a page, which no other page of any seed has."""
        return f"page {number} of {self.seed}"

    @cached_property
    def reachable(self) -> dict[str, PagePlan]:
        """The pages that links and redirects lead to from the seeds, by URL."""
        found = dict.fromkeys(range(len(self.hosts)))
        waiting = deque(found)
        while waiting:
            for number in self._leads_to(self.pages[waiting.popleft()]):
                if number not in found:
                    found[number] = None
                    waiting.append(number)
        return {self.url(number): self.pages[number] for number in found}

    @property
    def robots(self) -> dict[str, str]:
        """The robots.txt of each host, by its URL."""
        if self.manners is None:
            return {}
        denied = [page.number for page in self.pages if page.kind is Kind.DENIED]
        return {
            f"http://{host}:{self.port}{ROBOTS}": robots_txt(
                [number for number in denied if number % len(self.hosts) == place],
                crawl_delay_s=None if place else self.manners.crawl_delay_s,
            )
            for place, host in enumerate(self.hosts)
        }

    @property
    def outcomes(self) -> Counter[str]:
        """How many reachable pages end how."""
        return Counter(page.outcome for page in self.reachable.values())

    @property
    def discovered(self) -> int:
        """Links that a crawl comes upon, each once a page: those of pages, redirects, and not the seeds."""
        return sum(len(set(self._leads_to(page))) for page in self.reachable.values()) + self.filtered

    @property
    def filtered(self) -> int:
        """Those of them that are outside of the site or no web address."""
        return sum(
            page.outside + page.mailto if page.kind in LINKING else page.kind is Kind.LEAVE
            for page in self.reachable.values()
        )

    @staticmethod
    def _leads_to(page: PagePlan) -> tuple[int, ...]:
        if page.target is not None:
            return (page.target,)
        return page.links if page.kind in LINKING else ()


def _pages(rng: random.Random, pages: int, hosts: int, *, denied: float) -> Iterator[PagePlan]:
    islands = range(pages, pages + max(1, round(pages * _ISLANDS)))
    shares = {**_SHARES, Kind.DENIED: denied}
    kinds = [Kind.OK] * hosts + rng.choices(list(shares), list(shares.values()), k=pages - hosts)
    links: dict[int, list[int]] = {n: [] for n, kind in enumerate(kinds) if kind in LINKING}
    for number in range(hosts, pages):
        # The page that makes it reachable.
        near = range(max(0, number - _REACH), number)
        links[rng.choice([n for n in near if n in links] or [0])].append(number)
    for found in links.values():
        found.extend(rng.choices(range(pages), k=min(_MOST_LINKS, int(rng.paretovariate(_PARETO)))))
        if rng.random() < 0.2:
            found.append(found[0])
        rng.shuffle(found)
    chains: dict[int, int] = {}
    for number, kind in enumerate(kinds):
        target = _target(rng, number, kinds, chains) if kind is Kind.REDIRECT else None
        outside, mailto = rng.choice((0, 0, 0, 1, 2)), rng.random() < 0.05
        yield PagePlan(number, kind, tuple(links.get(number, ())), outside, mailto, target)
    for number in islands:
        yield PagePlan(number, Kind.OK, tuple(rng.choices([*range(pages), *islands], k=3)))


def _target(rng: random.Random, number: int, kinds: list[Kind], chains: dict[int, int]) -> int:
    """Where a redirect leads: any page, or a redirect before it whose chain is not too long yet."""
    while True:
        target = rng.randrange(len(kinds))
        length = chains.get(target, 0) + 1
        if target != number and length <= _LONGEST_CHAIN and (kinds[target] is not Kind.REDIRECT or target in chains):
            chains[number] = length
            return target
