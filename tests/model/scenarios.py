"""What is explored: sites, faults and flaws, and what must come of each."""

from typing import NamedTuple

from model.flaws import Flaw
from model.properties import Property, fetched_too_often, told_too_early
from model.state import Faults, Site

#: A page with a link; with two links, one of which both pages have; two seeds with the same link.
PAIR = Site(("a",), {"a": "b"})
FORK = Site(("a",), {"a": "bc", "b": "c"})
TWO_PARENTS = Site(("b", "c"), {"b": "d", "c": "d"})
#: A page that fails once, and one that fails for good.
FAILS_ONCE = Site(("a",), {"a": "b"}, {"b": 1})
DIES = Site(("a",), {"a": "b"}, {"b": 2})
#: A seed that fails for good.
DIES_ALONE = Site(("a",), {}, {"a": 2})
#: A seed that fails for good, at three attempts: a copy of the first could bring copies of both others.
DIES_SLOWLY = Site(("a",), {}, {"a": 3}, attempts=3)


class Scenario(NamedTuple):
    """A world for the protocol as it is, and how often its most requested page is fetched at worst."""

    site: Site
    faults: Faults
    max_fetches: int
    seeded: bool = False  #: begins when the seeds are safe on Redis' disk

    def __str__(self) -> str:
        names = {"PAIR": PAIR, "FORK": FORK, "FAILS_ONCE": FAILS_ONCE, "DIES": DIES, "DIES_SLOWLY": DIES_SLOWLY}
        names["DIES_ALONE"] = DIES_ALONE
        return f"{next(name for name, site in names.items() if site is self.site)}: {self.faults}"


#: Some ten seconds in all.
SMALL = (
    Scenario(FORK, Faults(), 1),
    Scenario(FORK, Faults(lost_replies=2), 1),
    Scenario(FORK, Faults(disconnects=1), 1),
    Scenario(FORK, Faults(unconfirmed=1), 1),
    Scenario(FORK, Faults(refused=1, unroutable=1), 1),
    Scenario(PAIR, Faults(lost_replies=1, disconnects=1, refused=1), 1),
    Scenario(PAIR, Faults(freezes=1), 2),
    Scenario(FORK, Faults(crashes=1), 2),
    Scenario(PAIR, Faults(crashes=1, lost_replies=1), 2),
    Scenario(FORK, Faults(rollbacks=1), 2, seeded=True),
    Scenario(PAIR, Faults(rollbacks=1, refused=1), 2, seeded=True),
    Scenario(FAILS_ONCE, Faults(), 2),
    Scenario(FAILS_ONCE, Faults(disconnects=1, lost_replies=1), 2),
    Scenario(DIES, Faults(), 2),
    Scenario(DIES, Faults(crashes=1), 3),
    Scenario(DIES, Faults(unroutable=1, lost_replies=1), 3),
    Scenario(DIES, Faults(rollbacks=1, lost_replies=1), 4, seeded=True),
    Scenario(DIES_SLOWLY, Faults(crashes=1), 4),
    Scenario(DIES_SLOWLY, Faults(disconnects=1, unconfirmed=1), 3),
    Scenario(DIES_ALONE, Faults(freezes=1, replays=1), 6),
)
#: Minutes.
LARGE = (
    Scenario(PAIR, Faults(rollbacks=1, lost_replies=1, refused=1), 2, seeded=True),
    Scenario(FORK, Faults(freezes=1), 2),
    Scenario(FORK, Faults(crashes=1, refused=1), 2),
    Scenario(PAIR, Faults(crashes=2), 3),
    Scenario(PAIR, Faults(crashes=1, freezes=1), 3),
    Scenario(PAIR, Faults(crashes=1, rollbacks=1), 3, seeded=True),
    Scenario(PAIR, Faults(freezes=1, rollbacks=1), 4, seeded=True),
    Scenario(PAIR, Faults(rollbacks=2), 3, seeded=True),
    Scenario(PAIR, Faults(lost_replies=1, disconnects=1, refused=1, unconfirmed=1), 1),
    Scenario(FAILS_ONCE, Faults(crashes=1), 3),
    Scenario(FAILS_ONCE, Faults(freezes=1), 4),
    Scenario(DIES, Faults(freezes=1), 4),
    Scenario(DIES, Faults(crashes=1, lost_replies=1), 3),
)


class Unsafe(NamedTuple):
    """A flaw, a world in which it shows, and what is found there."""

    flaw: Flaw
    site: Site
    faults: Faults
    problem: str
    seeded: bool = False
    safety: tuple[Property, ...] = ()  #: none: what is lost is found by its having no good end, fault included

    def __str__(self) -> str:
        return f"{self.flaw.name.lower()}, {self.faults}"


UNSAFE = (
    Unsafe(Flaw.MARK_THEN_PUBLISH, PAIR, Faults(crashes=1), "lost for good: b", seeded=True),
    Unsafe(Flaw.MARK_THEN_PUBLISH, PAIR, Faults(lost_replies=1), "lost for good: a, b"),
    Unsafe(
        Flaw.PUBLISH_THEN_MARK, TWO_PARENTS, Faults(), "fetched 2 times, 1 explained: d", safety=(fetched_too_often,)
    ),
    Unsafe(Flaw.SPLIT, PAIR, Faults(crashes=1), "lost for good: b", seeded=True),
    Unsafe(Flaw.DELETE_OUTBOX_FIRST, PAIR, Faults(crashes=1), "lost for good: b", seeded=True),
    Unsafe(Flaw.FINISH_FIRST, PAIR, Faults(crashes=1), "lost for good: b"),
    Unsafe(Flaw.ACK_BEFORE_COMMIT, PAIR, Faults(crashes=1), "lost for good: a"),
    Unsafe(Flaw.ACK_BEFORE_PUBLISH, PAIR, Faults(rollbacks=1, crashes=1), "lost for good: a, b", seeded=True),
    Unsafe(Flaw.ACK_BEFORE_SUCCESSOR, FAILS_ONCE, Faults(crashes=1), "lost for good: b"),
    Unsafe(Flaw.BURY_LAST, DIES, Faults(crashes=1), "not every dead letter is kept"),
    Unsafe(Flaw.NO_CONFIRMS, PAIR, Faults(refused=1), "lost for good: a, b"),
    Unsafe(Flaw.NOT_MANDATORY, PAIR, Faults(unroutable=1), "lost for good: a, b"),
    Unsafe(Flaw.CONFIRMED_FORGETS_ALL, PAIR, Faults(refused=1), "lost for good: b", seeded=True),
    Unsafe(
        Flaw.FINISH_THOUGH_LOST, PAIR, Faults(rollbacks=1), "complete without b", seeded=True, safety=(told_too_early,)
    ),
    Unsafe(Flaw.LAST_COMMIT_WINS, PAIR, Faults(lost_replies=1), "lost for good: a, b"),
    Unsafe(
        Flaw.BEGIN_FORGETS_DONE,
        PAIR,
        Faults(disconnects=1),
        "fetched 2 times, 1 explained: a",
        safety=(fetched_too_often,),
    ),
    Unsafe(
        Flaw.BEGIN_FORGETS_OUTBOX,
        PAIR,
        Faults(crashes=1),
        "fetched 2 times, 1 explained: a",
        safety=(fetched_too_often,),
    ),
    Unsafe(
        Flaw.BEGIN_FORGETS_LEASES,
        PAIR,
        Faults(disconnects=1),
        "fetched 2 times, 1 explained: a",
        safety=(fetched_too_often,),
    ),
    Unsafe(
        Flaw.BEGIN_FORGETS_ATTEMPTS,
        DIES_SLOWLY,
        Faults(crashes=1),
        "fetched 5 times, 4 explained: a",
        safety=(fetched_too_often,),
    ),
    Unsafe(Flaw.RELEASE_BEFORE_SUCCESSOR, FAILS_ONCE, Faults(crashes=1), "lost for good: b"),
    Unsafe(Flaw.RELEASE_OF_A_LOST_LEASE, DIES_ALONE, Faults(freezes=1, replays=1), "lost for good: a"),
    Unsafe(Flaw.BUSY_IS_DONE, PAIR, Faults(crashes=1), "lost for good: a"),
    Unsafe(Flaw.NO_SWEEPER, PAIR, Faults(unroutable=1), "lost for good: a, b"),
    Unsafe(Flaw.NO_SWEEPER, PAIR, Faults(rollbacks=1), "never known to be complete", seeded=True),
)
