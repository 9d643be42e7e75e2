"""The promise of host slots: when a host may next be asked, agreed on by every consumer of every crawl.

A site is hurt by the sum of all that ask it, so slots belong to the host (or any other key, such as an address)
and not to a crawl or group. Who wants to ask takes a ticket of his own making to :meth:`Slots.reserve` and is told

* :class:`Go`: ask now, then :meth:`Slots.settle`;
* :class:`Hold`: a slot is reserved for the ticket, so soon that waiting for it beside other work is best; then
  reserve again with the same ticket;
* :class:`Park`: there is a line already. The ticket has a place in the host's row, where it comes back at the
  moment at which the host can serve it, and not before; then reserve again with ``returned=True``.

Between two requests lies at least the delay, whatever was promised: a promise says when to ask again, Go is only
said at that moment. Who does not ask in the end gives back. Repeating a call changes nothing, so lost replies do no
harm. The time is Redis' own; nobody else's clock is trusted.

Two implementations keep this promise: :mod:`crawl_dedup.redis_slots` (with ``slots.lua``) and
:mod:`crawl_dedup.memory_slots`. Both pass ``tests/contract/test_slots_contract.py``.
"""

from dataclasses import dataclass
from typing import Final, NewType, Protocol

#: Who wants to ask: the same for the same attempt at the same URL, different for everything else.
Ticket = NewType("Ticket", str)

#: A promise may be met this much too early, milliseconds: timers and round trips are no finer. The next slot
#: counts from the promise, not from the early start, so that the average delay is never below what was asked.
EARLY_MS: Final = 5
#: Slots reserved ahead of now at most, so that a few short delays do not fill the consumers' windows with one host.
LINE_AT_MOST: Final = 8
#: Row places that are remembered for who asks again after a lost reply: more than one round trip carries. Beyond
#: it a lost reply costs an unused place in the row, and nothing else.
ROW_REMEMBERED: Final = 128
#: A row from which nobody has come for this long (or ten delays) belongs to a crawl that is gone: it is dropped.
STALE_ROW_MS: Final = 60_000
#: Reserved slots are forgotten this long after their time: their consumers are gone.
ABANDONED_MS: Final = 30_000
#: A request in flight is forgotten after this; whoever lives and still waits for its answer renews (reserves
#: again) before. After kill -9 the host is silent for so long.
FLIGHT_MS: Final = 15_000
#: While a place in flight is missing, ask again after half the host's latency, within these limits.
POLL_AT_LEAST_MS: Final = 50
POLL_AT_MOST_MS: Final = 1000
#: The delay that a slow host gets by its latency grows to this at most (Heritrix' limit), else one time-out would
#: silence it for minutes.
LONGEST_ADAPTED_MS: Final = 30_000
#: A host that pushes back without saying for how long is left alone for a minute, then two, four … a day …
FIRST_QUIET_MS: Final = 60_000
LONGEST_QUIET_MS: Final = 86_400_000
#: … each up to this part longer, at random, so that hosts silenced together do not return together.
QUIET_JITTER: Final = 0.1
#: After so long without another push-back the doubling begins anew. What is known of a host is kept as long.
FORGIVEN_MS: Final = 1_800_000
#: A new latency counts for this part of the smoothed one.
LATENCY_WEIGHT: Final = 0.25
#: Promises are a delay and this part of the smoothed latency apart. The host may be asked a delay after its answer,
#: which nobody can foresee: promised too early costs one more question, promised too late leaves the host idle.
LATENCY_AHEAD: Final = 0.5
#: Time does not run backwards; if Redis' clock does by more than this, what was promised is void.
CLOCK_BACK_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a host may be asked.

    Attributes:
        delay_ms: from the beginning of an answer to the next request, at least; a robots.txt Crawl-delay is in it
            already. With several requests in flight, from one request to the next.
        latency_factor: a host's smoothed latency times this is a lower limit of its delay; 0: not.
        in_flight: requests at the same time.
        hold_ms: how long a caller is ready to hold; above it he is told to park.
    """

    delay_ms: int
    latency_factor: float = 0.0
    in_flight: int = 1
    hold_ms: int = 2000


@dataclass(frozen=True, slots=True)
class Go:
    """Ask the host now, and settle."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait so long (at most ``hold_ms``), then reserve again with the same ticket."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Park:
    """Wait so long, then reserve again with the same ticket and ``returned=True``; being late is no harm."""

    wait_ms: int


Reserved = Go | Hold | Park
GO: Final = Go()


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request.

    Attributes:
        since_answer_ms: since the answer began, or the request was given up. The host has had the request no later
            than then, and no earlier moment is certain, so the delay counts from there.
        latency_ms: from the request to that moment.
        clean: whether it was a proper answer: only those may make a slow host count as faster.
        pushback_ms: the host said "not now" (429, 503): for how long, or 0 when it did not say; None: it did not.
    """

    since_answer_ms: int
    latency_ms: int
    clean: bool = True
    pushback_ms: int | None = None


class Slots(Protocol):
    """The slots of all hosts. Every method may raise LedgerUnavailable or LedgerRefused."""

    async def reserve(
        self, host: str, ticket: Ticket, pace: Pace, *, returned: bool = False, look: bool = False
    ) -> Reserved:
        """Ask whether it is this ticket's turn; see the module. While it is in flight, this renews its place.

        Args:
            host: a host's name, or another key whose holder is to be spared.
            ticket: who asks.
            pace: the asker's rules; askers of one host may have different ones.
            returned: the ticket was parked here before, and its time has come.
            look: Go would be too soon, because the ticket needs another key's as well: when its turn is now, the
                answer is Go, but it only keeps its slot, and goes when it reserves without this.
        """

    async def give_back(self, host: str, ticket: Ticket) -> None:
        """The ticket will not ask: free whatever it has, its place in flight included."""

    async def settle(self, host: str, ticket: Ticket, asked: Asked) -> None:
        """The request has ended: free its place, learn the latency, heed a push-back. Once per ticket."""

    async def block(self, host: str, for_ms: int) -> None:
        """Leave the host alone for so long from now (at most a day); a longer block that it has stays."""
