"""Host slots in dictionaries: the same promise for tests, and for crawls within one process."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crawl_dedup import slots as rules
from crawl_dedup.slots import GO, Asked, Hold, Pace, Park, Reserved, Ticket


@dataclass(frozen=True, slots=True)
class _Rhythm:
    """The delay between two requests, and the step between two promises: what the host can keep up with."""

    delay: int
    step: int


@dataclass(slots=True)
class _Host:
    """What is known of a host; the fields are those of slots.lua."""

    last: int = 0
    next: int = 0
    row: int = 0
    quiet: int = 0
    strikes: int = 0
    struck: int = 0
    latency: float = 0.0
    line: dict[Ticket, int] = field(default_factory=dict)
    places: dict[Ticket, int] = field(default_factory=dict)  #: in the row, the latest last
    flight: dict[Ticket, int] = field(default_factory=dict)

    def rhythm(self, pace: Pace) -> _Rhythm:
        delay = max(pace.delay_ms, min(pace.latency_factor * self.latency, rules.LONGEST_ADAPTED_MS))
        if pace.in_flight == 1:
            step = delay + rules.LATENCY_AHEAD * self.latency
        else:
            step = max(delay, self.latency / pace.in_flight)
        return _Rhythm(math.ceil(delay), math.ceil(step))

    def heal(self, now: int) -> None:
        """The clock ran backwards: what was promised is void, and the delay begins anew."""
        self.line.clear()
        self.places.clear()
        self.last, self.next, self.row = now, 0, 0
        self.struck = min(self.struck, now)
        self.quiet = min(self.quiet, now + rules.LONGEST_QUIET_MS)
        self.flight = {ticket: min(end, now + rules.FLIGHT_MS) for ticket, end in self.flight.items()}

    def purge(self, now: int) -> None:
        """Forget those who are gone."""
        self.line = {ticket: slot for ticket, slot in self.line.items() if slot > now - rules.ABANDONED_MS}
        self.flight = {ticket: end for ticket, end in self.flight.items() if end > now}

    def park(self, ticket: Ticket, rhythm: _Rhythm, now: int) -> Park:
        """A place at the end of the row."""
        place = max(self.row, self.next, self.last + rhythm.delay, self.quiet, now)
        self.row = place + rhythm.step
        self.places[ticket] = place
        if len(self.places) > rules.ROW_REMEMBERED:
            del self.places[next(iter(self.places))]
        return Park(place - now)

    def line_up(self, ticket: Ticket, pace: Pace, rhythm: _Rhythm, now: int, *, returned: bool) -> int | Park:
        """A slot in the line, or the answer that there is none to be had."""
        if (place := self.places.get(ticket)) is not None:
            if place > now + rules.EARLY_MS:
                return Park(place - now)
            del self.places[ticket]
            returned = True
        if self.row > now and max(self.last, self.quiet) < now - max(rules.STALE_ROW_MS, 10 * rhythm.delay):
            self.row = 0
        slot = max(self.last + rhythm.delay, self.next)
        if slot - rules.EARLY_MS <= now:
            slot = now
        slot = max(slot, self.quiet)
        near = min(pace.hold_ms, rules.LINE_AT_MOST * rhythm.delay)
        if slot - now > near or (not returned and self.row > now):
            return self.park(ticket, rhythm, now)
        self.next = slot + rhythm.step
        return slot

    def turn(self, ticket: Ticket, pace: Pace, now: int, *, returned: bool, look: bool) -> Reserved:
        """Whether it is this ticket's turn, which is not in flight."""
        rhythm = self.rhythm(pace)
        slot = self.line.get(ticket)
        if slot is None:
            lined = self.line_up(ticket, pace, rhythm, now, returned=returned)
            if isinstance(lined, Park):
                return lined
            slot = lined
        opens = max(slot - rules.EARLY_MS, self.last + rhythm.delay - rules.EARLY_MS, self.quiet)
        if opens <= now and len(self.flight) >= pace.in_flight:
            opens = now + min(max(int(self.latency / 2), rules.POLL_AT_LEAST_MS), rules.POLL_AT_MOST_MS)
        if opens <= now:
            self.line[ticket] = slot
            return GO if look else self.go(ticket, rhythm, now)
        if opens - now > pace.hold_ms or now - slot > pace.hold_ms:
            self.line.pop(ticket, None)
            return self.park(ticket, rhythm, now)
        self.line[ticket] = slot
        return Hold(opens - now)

    def go(self, ticket: Ticket, rhythm: _Rhythm, now: int) -> Reserved:
        """Its turn has come."""
        self.line.pop(ticket, None)
        self.flight[ticket] = now + rules.FLIGHT_MS
        self.last = max(now, min(self.last + rhythm.delay, now + rules.EARLY_MS))
        self.next = max(self.next, self.last + rhythm.step)
        return GO

    def learn(self, latency: int, *, clean: bool) -> None:
        """Smooth the latency."""
        if self.latency == 0:
            self.latency = latency
        elif clean or latency > self.latency:
            self.latency += rules.LATENCY_WEIGHT * (latency - self.latency)

    def push_back(self, asked_ms: int, jitter: float, now: int) -> None:
        """Be quiet; a push-back during a quiet time belongs to the one that began it."""
        for_ms = float(min(asked_ms, rules.LONGEST_QUIET_MS))
        if now >= self.quiet:
            if now - max(self.struck, self.quiet) > rules.FORGIVEN_MS:
                self.strikes = 0
            if not for_ms:
                longest = min(rules.FIRST_QUIET_MS * 2**self.strikes, rules.LONGEST_QUIET_MS)
                for_ms = longest * (1 + rules.QUIET_JITTER * jitter)
            self.strikes, self.struck = min(self.strikes + 1, 20), now
        self.quiet = max(self.quiet, now + math.ceil(for_ms))


class MemorySlots:
    """The slots of all hosts within one process.

    Args:
        clock: seconds; Unix time or any other.
        jitter: 0 … 1, for quiet times.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._hosts: dict[str, _Host] = {}

    def __repr__(self) -> str:
        return f"<MemorySlots {len(self._hosts)} hosts>"

    async def reserve(
        self, host: str, ticket: Ticket, pace: Pace, *, returned: bool = False, look: bool = False
    ) -> Reserved:
        """See :meth:`crawl_dedup.slots.Slots.reserve`."""
        known, now = self._host(host)
        if ticket in known.flight:
            known.flight[ticket] = now + rules.FLIGHT_MS
            return GO
        known.purge(now)
        return known.turn(ticket, pace, now, returned=returned, look=look)

    async def give_back(self, host: str, ticket: Ticket) -> None:
        """See :meth:`crawl_dedup.slots.Slots.give_back`."""
        known, _ = self._host(host)
        if known.line.get(ticket) == max(known.line.values(), default=None):
            known.next = min(known.next, known.line.get(ticket, known.next))
        if known.places.get(ticket) == max(known.places.values(), default=None):
            known.row = min(known.row, known.places.get(ticket, known.row))
        for having in (known.line, known.places, known.flight):
            having.pop(ticket, None)

    async def settle(self, host: str, ticket: Ticket, asked: Asked) -> None:
        """See :meth:`crawl_dedup.slots.Slots.settle`."""
        known, now = self._host(host)
        if known.flight.pop(ticket, None) is None:
            return
        known.last = max(known.last, now - asked.since_answer_ms)
        known.learn(asked.latency_ms, clean=asked.clean)
        if asked.pushback_ms is not None:
            known.push_back(asked.pushback_ms, self._jitter(), now)

    async def block(self, host: str, for_ms: int) -> None:
        """See :meth:`crawl_dedup.slots.Slots.block`."""
        known, now = self._host(host)
        known.quiet = max(known.quiet, now + min(for_ms, rules.LONGEST_QUIET_MS))

    def _host(self, host: str) -> tuple[_Host, int]:
        known, now = self._hosts.setdefault(host, _Host()), int(self._clock() * 1000)
        if known.last > now + rules.CLOCK_BACK_MS:
            known.heal(now)
        return known, now
