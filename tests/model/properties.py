"""What must hold in every state, and at the end."""

from collections.abc import Callable

from model.protocol import Protocol
from model.state import Faults, State


def good_end(protocol: Protocol, state: State) -> bool:
    """Every URL has ended, nobody has anything left to do, and the books say so.

    After a rollback they need not: a URL that had ended and was acknowledged may count as open again.
    """
    books, seen = state.books, state.seen
    if state.broker or books.outboxes or any(worker.todo for worker in state.workers):
        return False
    return (
        protocol.site.reachable <= seen.ended
        and {url for url in protocol.site.reachable if protocol.site.fails.get(url, 0) >= protocol.site.attempts}
        <= seen.letters
        and (books.complete or (_rolled_back(state) and books.admitted <= seen.ended))
    )


def lost(_protocol: Protocol, state: State, _allowed: Faults) -> str:
    """The ledger's invariant: what is admitted waits in an outbox, or the broker has it, ready or in a consumer's hand.

    After a rollback, what has ended may be admitted again: its page was fetched and its links are safe.
    """
    waiting = {message.url for message in state.broker}
    waiting |= {worker.url for worker in state.workers if worker.held}
    waiting = waiting.union(*(children for _, children in state.books.outboxes))
    gone = state.books.admitted - state.seen.ended - waiting
    return f"lost: {', '.join(sorted(gone))}" if gone else ""


def fetched_too_often(protocol: Protocol, state: State, allowed: Faults) -> str:
    """Each request beyond the first is explained by a fault that hit this very page.

    Where a page fails, every fault may have copied its message; such a copy is tried once at most, and once more by who
    was frozen and is not heard yet, for whom no lease holds. A Redis that goes back may have forgotten which attempts
    were over, and that the page has ended; whoever replays its letter begins them anew.
    """
    seen, rollbacks = state.seen, allowed.rollbacks - state.faults.rollbacks
    rounds = 1 + rollbacks + allowed.replays - state.faults.replays
    others = sum(allowed) - sum(state.faults) + 1 - rounds + allowed.freezes - state.faults.freezes
    for url in set(seen.fetches):
        attempts = min(protocol.site.fails.get(url, 0) + 1, protocol.site.attempts)
        most = 1 + seen.excused.count(url) if attempts == 1 else attempts * rounds + others
        if seen.fetches.count(url) > most:
            return f"fetched {seen.fetches.count(url)} times, {most} explained: {url}"
    return ""


def told_too_early(protocol: Protocol, state: State, _allowed: Faults) -> str:
    """The books say complete only when every page that can be reached has ended."""
    missing = protocol.site.reachable - state.seen.ended
    return f"told complete without {', '.join(sorted(missing))}" if state.books.complete and missing else ""


def _rolled_back(state: State) -> bool:
    """Whether something that had ended is not done, which nothing but a rollback does."""
    return bool(state.seen.ended - state.books.done)


#: Says what does not hold, or nothing.
Property = Callable[[Protocol, State, Faults], str]
#: What every state must satisfy.
SAFETY: tuple[Property, ...] = (lost, fetched_too_often, told_too_early)
