"""Every state that can be reached, breadth first, so that the first counterexample is a shortest one.

Two questions are asked. Does what must always hold, hold in every state? And can the crawl, from every state, still
end well? The second finds what is lost for good, with the fault that did it as the last step.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model import adversary
from model.books import Flaws
from model.properties import SAFETY, Property, good_end
from model.protocol import SEED, Protocol
from model.state import Faults, Site, State, Worker


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest way into a state in which a property does not hold."""

    problem: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{number:3}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([*lines, f"     → {self.problem}"])


@dataclass(slots=True)
class Explored:
    """What was found: states, good ends, requests for the most requested page, and what went wrong."""

    states: int = 0
    good_ends: int = 0
    max_fetches: int = 0
    counterexample: Counterexample | None = None
    _ways: list[tuple[int, str]] = field(default_factory=list, repr=False)

    def way_to(self, number: int) -> tuple[str, ...]:
        steps = list[str]()
        while number:
            number, step = self._ways[number]
            steps.append(step)
        return tuple(reversed(steps))


def explore(
    site: Site,
    faults: Faults,
    flaws: Flaws = frozenset(),
    *,
    seeded: bool = False,
    safety: Sequence[Property] = SAFETY,
) -> Explored:
    """Walk through every interleaving of two consumers and a seeder, with at most these faults.

    Args:
        site: the web.
        faults: the adversary's budget.
        flaws: what the processes get wrong.
        seeded: begin when the seeds are admitted, published, and on Redis' disk.
        safety: what every state must satisfy.

    Returns:
        What was found; it ends at the first state in which a property does not hold.
    """
    protocol, found = Protocol(site, flaws), Explored()
    start = _start(site, faults, seeded=seeded)
    numbers, queue, before = {start: 0}, deque([start]), [list[int]()]
    found._ways.append((0, ""))
    ends = list[int]()
    while queue:
        state = queue.popleft()
        number = numbers[state]
        if problem := next(filter(None, (holds(protocol, state, faults) for holds in safety)), ""):
            found.counterexample = Counterexample(problem, found.way_to(number))
            break
        if good_end(protocol, state):
            ends.append(number)
        for step, after in _moves(protocol, state):
            if (seen := numbers.get(after)) is None:
                seen = numbers[after] = len(numbers)
                queue.append(after)
                found._ways.append((number, step))
                before.append([])
            before[seen].append(number)
    found.states, found.good_ends = len(numbers), len(ends)
    found.max_fetches = max(state.seen.fetches.count(url) for state in numbers for url in site.reachable)
    if found.counterexample is None and (doomed := _cannot_end(before, ends)) is not None:
        state = next(state for state, number in numbers.items() if number == doomed)
        found.counterexample = Counterexample(_missing(protocol, state), found.way_to(doomed))
    return found


def _moves(protocol: Protocol, state: State) -> Iterator[tuple[str, State]]:
    yield from protocol.moves(state)
    yield from adversary.moves(protocol, state)


def _start(site: Site, faults: Faults, *, seeded: bool) -> State:
    workers = (Worker("A1"), Worker("B1"), Worker("S1", SEED, "s.1"))
    state = State(workers, frozenset(worker.name for worker in workers), faults)
    if not seeded:
        return state
    protocol = Protocol(site)
    while (seeder := state.workers[2]).todo:
        state = next(after for _, after in protocol.moves(state) if after.workers[2] != seeder)
    return state


def _missing(protocol: Protocol, doomed: State) -> str:
    """What will never happen any more, whatever else does."""
    futures, todo = {doomed}, [doomed]
    while todo:
        new = {after for _, after in _moves(protocol, todo.pop())} - futures
        futures |= new
        todo.extend(new)
    if gone := protocol.site.reachable.difference(*(state.seen.ended for state in futures)):
        return f"lost for good: {', '.join(sorted(gone))}"
    return "every page ends, but not every dead letter is kept, or the crawl is never known to be complete"


def _cannot_end(before: list[list[int]], ends: list[int]) -> int | None:
    """The first state from which no good end can be reached, if there is one."""
    can, todo = set(ends), list(ends)
    while todo:
        for number in before[todo.pop()]:
            if number not in can:
                can.add(number)
                todo.append(number)
    return next((number for number in range(len(before)) if number not in can), None)
