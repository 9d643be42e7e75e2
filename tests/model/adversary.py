"""What happens to processes between their steps: heartbeats that run out, and everything that faults can do."""

from collections.abc import Iterator

from model import books as ledger
from model.protocol import Move, Protocol, successor
from model.state import Message, State, Worker

#: With one of these before it, a page may be fetched once more, because no commit of it is in Redis.
UNCOMMITTED = {"commit", "retry"}


def moves(protocol: Protocol, state: State) -> Iterator[Move]:
    """Everything that may happen now and is no step of a process."""
    yield from _time_passes(state)
    faults = state.faults
    for index, worker in enumerate(state.workers):
        if worker.todo and faults.crashes:
            yield _killed(state, index, worker)
        if worker.held and faults.freezes:
            yield _frozen(state, index, worker)
        if worker.held and faults.disconnects:
            yield f"{worker.name} loses its connection", _handed_out(state, index, worker).without("disconnects")
    if faults.replays:
        yield from (_replayed(state, url) for url in sorted(state.seen.letters & state.books.done))
    if faults.rollbacks and state.disk is None:
        yield "(the last write of Redis that will survive)", state._replace(disk=state.books)
    elif faults.rollbacks:
        yield "Redis dies and comes back", _rolled_back(protocol, state)


def _time_passes(state: State) -> Iterator[Move]:
    """Heartbeats of the dead run out, the frozen are heard again, leases of who has no such story run out."""
    at_work = {worker.name: worker for worker in state.workers}
    for name in sorted(state.beating - at_work.keys()):
        yield f"the heartbeat of {name} runs out", state._replace(beating=state.beating - {name})
    for name in sorted(at_work.keys() - state.beating):
        yield f"{name} is heard again", state._replace(beating=state.beating | {name})
    for url, name in sorted(state.books.leases):
        if name in at_work and at_work[name].url != url:
            books = state.books._replace(leases=state.books.leases - {(url, name)})
            yield f"{name}'s lease on {url} runs out", state.with_books(books)


def _killed(state: State, index: int, worker: Worker) -> Move:
    """kill -9: the delivery goes back, the heartbeat holds a little longer, what was in memory is gone."""
    after = state.excusing(worker.url) if worker.fetched and UNCOMMITTED.intersection(worker.todo) else state
    if worker.held and worker.message is not None:
        after = after.with_message(worker.message)
    return f"{worker.name} is killed before: {worker.todo[0]}", successor(after, index, beats=True).without("crashes")


def _frozen(state: State, index: int, worker: Worker) -> Move:
    """SIGSTOP for long: to all others it is dead, and its delivery is handed out again; yet it goes on."""
    after = state.excusing(worker.url) if {"fetch", *UNCOMMITTED}.intersection(worker.todo) else state
    after = _handed_out(after, index, worker)._replace(beating=state.beating - {worker.name})
    return f"{worker.name} is frozen before: {worker.todo[0]}", after.without("freezes")


def _handed_out(state: State, index: int, worker: Worker) -> State:
    assert worker.message is not None
    return state.with_message(worker.message).with_worker(index, worker._replace(held=False))


def _replayed(state: State, url: str) -> Move:
    """Its three steps (see crawl_producer.dead_ends) are one here. There may be another letter of this URL."""
    seen = state.seen._replace(ended=state.seen.ended - {url})
    after = state._replace(books=ledger.reopen(state.books, url), seen=seen).with_message(Message(url))
    return f"the dead letter of {url} is replayed", after.without("replays")


def _rolled_back(protocol: Protocol, state: State) -> State:
    """Any prefix of the ledger's steps may survive; the processes go on where they are."""
    lost, books = state.books, state.disk
    assert books is not None
    undone = (lost.done - books.done) | {parent for parent, _ in lost.outboxes if books.outbox(parent) is None}
    undone |= {url for url, _ in lost.leases - books.leases}
    after = state.with_books(books)._replace(disk=None).without("rollbacks")
    for url in sorted(undone & protocol.site.reachable):
        after = after.excusing(url)
    return after
