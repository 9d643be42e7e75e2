"""The protocol, one method a step: what a process does next, and every way in which that may turn out.

A story is a list of steps; the first is done, dropped, and the next one follows. Steps that ask the ledger or the
broker turn out in several ways, each of which is a move from one state to the next. What the adversary does
*between* steps stands in :mod:`model.adversary`.
"""

from collections.abc import Iterator
from itertools import chain

from model import books as ledger
from model.books import Answer, Books, Flaws
from model.flaws import Flaw
from model.state import Message, Site, State, Worker

Move = tuple[str, State]

#: The story of a page, of one that was fetched before, of a seeder, of an outbox that was left behind …
PAGE = ("fetch", "commit", "publish", "finish", "acknowledge")
RESUME = ("publish", "finish", "acknowledge")
SEED = ("commit", "publish", "finish")
SWEEP = ("publish", "finish")
#: … and of a delivery that a successor replaces: the next attempt, a copy for later, a dead letter.
RETRY = ("retry", "retried", "acknowledge")
PARK = ("copy", "release", "acknowledge")
BUSY = ("copy", "acknowledge")
DEAD = ("bury", "commit", "acknowledge")

#: The same in the wrong order.
WRONG: dict[Flaw, dict[tuple[str, ...], tuple[str, ...]]] = {
    Flaw.SPLIT: {
        PAGE: ("fetch", "commit", "keep", "publish", "finish", "acknowledge"),
        SEED: ("commit", "keep", "publish", "finish"),
    },
    Flaw.DELETE_OUTBOX_FIRST: {
        PAGE: ("fetch", "commit", "delete", "publish", "finish", "acknowledge"),
        RESUME: ("delete", "publish", "finish", "acknowledge"),
    },
    Flaw.FINISH_FIRST: {
        PAGE: ("fetch", "commit", "finish", "publish", "acknowledge"),
        RESUME: ("finish", "publish", "acknowledge"),
    },
    Flaw.ACK_BEFORE_COMMIT: {PAGE: ("fetch", "acknowledge", "commit", "publish", "finish")},
    Flaw.ACK_BEFORE_PUBLISH: {PAGE: ("fetch", "commit", "acknowledge", "publish", "finish")},
    Flaw.ACK_BEFORE_SUCCESSOR: {RETRY: ("acknowledge", "retry", "retried")},
    Flaw.RELEASE_BEFORE_SUCCESSOR: {RETRY: ("retried", "retry", "acknowledge")},
    Flaw.BURY_LAST: {DEAD: ("commit", "bury", "acknowledge")},
    Flaw.BUSY_IS_DONE: {BUSY: ("acknowledge",)},
}


class Protocol:
    """Two consumers and a seeder, on one site.

    Args:
        site: the web.
        flaws: what they get wrong.
    """

    def __init__(self, site: Site, flaws: Flaws = frozenset()) -> None:
        self.site = site
        self.flaws = flaws

    def plan(self, story: tuple[str, ...]) -> tuple[str, ...]:
        """The steps of a story, in the order that these processes believe in."""
        wrong = (WRONG[flaw][story] for flaw in self.flaws if story in WRONG.get(flaw, ()))
        return next(wrong, story)

    def moves(self, state: State) -> Iterator[Move]:
        """Every next step of every process."""
        for index, worker in enumerate(state.workers):
            if worker.todo:
                yield from getattr(self, f"_{worker.todo[0]}")(state, index, worker)
            elif not worker.name.startswith("S"):
                yield from chain(self._take(state, index, worker), self._sweep(state, index, worker))

    def _take(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        """A delivery, and the question what is left to do for it. (A crash between the two changes nothing.)"""
        for place, message in enumerate(state.broker):
            if message not in state.broker[:place]:
                taken = worker._replace(todo=("begin",), url=message.url, message=message, held=True)
                rest = state._replace(broker=(*state.broker[:place], *state.broker[place + 1 :]))
                yield from self._begin(rest, index, taken)

    def _begin(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        if Flaw.PUBLISH_THEN_MARK in self.flaws:
            answer = Answer("go", state.books)
        else:
            assert worker.message is not None
            attempt = worker.message.attempt
            answer = ledger.begin(state.books, worker.url, worker.name, state.beating, self.flaws, attempt)
        story = {"done": ("acknowledge",), "busy": self.plan(BUSY), "publish": self.plan(RESUME), "go": self.plan(PAGE)}
        after = worker._replace(todo=story[answer.word], links=tuple(sorted(answer.children)), fetched=False)
        if answer.word == "go" and worker.name not in state.beating:
            state = state.excusing(worker.url)  # the lease of one that was frozen and is not heard yet keeps nobody off
        yield from self._asked(state, index, answer.books, after, f"begin({worker.url}): {answer.word}")

    def _sweep(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        if Flaw.NO_SWEEPER in self.flaws:
            return
        for parent, _ in sorted(state.books.outboxes):
            if not state.books.holder(parent, state.beating):
                answer = ledger.orphan(state.books, parent, worker.name)
                after = worker._replace(todo=self.plan(SWEEP), url=parent, links=tuple(sorted(answer.children)))
                yield from self._asked(state, index, answer.books, after, f"orphans(): {parent}")

    def _fetch(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        """One GET. Items are safe when it returns: a second fetch may cost a record, never a URL."""
        assert worker.message is not None
        url, attempt = worker.message
        seen = state.seen._replace(fetches=tuple(sorted((*state.seen.fetches, url))))
        story = worker.todo[1:]
        if attempt < self.site.fails.get(url, 0):
            story = self.plan(RETRY if attempt + 1 < self.site.attempts else DEAD)
        after = worker._replace(todo=story, fetched=True)
        yield f"{worker.name} fetches {url}", state._replace(seen=seen).with_worker(index, after)

    def _commit(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        links = self._links(worker)
        answer = ledger.commit(state.books, worker.url, worker.name, links, self.flaws)
        rest = worker.todo[1:]
        if answer.word in ("done", "finished"):
            rest = tuple(step for step in rest if step in ("bury", "acknowledge"))
        after = worker._replace(todo=rest, links=tuple(sorted(answer.children)))
        what = f"commit({worker.url} → {''.join(sorted(links)) or 'nothing'}): {answer.word}"
        yield from self._asked(state, index, answer.books, after, what)

    def _links(self, worker: Worker) -> frozenset[str]:
        if not ledger.is_url(worker.url):
            return frozenset(self.site.seeds)
        dead = worker.message is not None and worker.message.attempt < self.site.fails.get(worker.url, 0)
        return frozenset() if dead else self.site.links_of(worker.url)

    def _keep(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        kept = ledger.keep(state.books, worker.url, worker.name, frozenset(worker.links))
        yield from self._asked(state, index, kept, _next(worker), f"fills the outbox of {worker.url}")

    def _delete(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        books = ledger.delete_outbox(state.books, worker.url)
        yield from self._asked(state, index, books, _next(worker), f"deletes the outbox of {worker.url}")

    def _publish(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        """One message after the other; when each has been tried, on to finish, or to say which are confirmed."""
        if not worker.links:
            yield from self._published(state, index, worker)
            return
        child, *others = worker.links
        rest = worker._replace(links=tuple(others))
        confirmed = rest._replace(confirmed=rest.confirmed | {child})
        for what, arrived, fate in self._fates(state, Message(child), worker.name):
            yield (
                what,
                arrived.with_worker(index, {"yes": confirmed, "no": rest._replace(failed=True)}.get(fate, worker)),
            )

    def _published(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        clean = worker._replace(confirmed=frozenset(), failed=False)
        if not worker.failed:
            yield f"{worker.name} has every confirm", state.with_worker(index, _next(clean))
            return
        books = ledger.confirmed(state.books, worker.url, worker.confirmed, self.flaws)
        # A seeder and a sweep leave the rest to the next sweep. (What is refused a seeder really tries again.)
        after = clean._replace(todo=self.plan(PARK) if worker.message else ())
        names = "".join(sorted(worker.confirmed)) or "nothing"
        yield from self._asked(state, index, books, after, f"confirmed({worker.url}: {names})")

    def _finish(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        answer = ledger.finish(state.books, worker.url, self._links(worker), self.flaws)
        after = _next(worker)
        if answer.word == "lost":  # who has the page commits again; who has not begins again; a sweep has done its part
            page = self.plan(PAGE)
            again = page[page.index("commit") :] if worker.fetched else ("begin",)
            after = worker._replace(todo=again if worker.message else ())
        yield from self._asked(state, index, answer.books, after, f"finish({worker.url}): {answer.word}")

    def _release(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        books = ledger.release(state.books, worker.url, worker.name)
        yield from self._asked(state, index, books, _next(worker), f"release({worker.url})")

    def _retried(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        assert worker.message is not None
        attempt = worker.message.attempt + 1
        books = ledger.release(state.books, worker.url, worker.name, attempt, self.flaws)
        yield from self._asked(state, index, books, _next(worker), f"release({worker.url}, attempt {attempt} is next)")

    def _acknowledge(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        what = "acknowledges" if worker.held else "acknowledges in vain, on a connection that is gone:"
        after = _next(worker._replace(held=False))
        yield f"{worker.name} {what} {worker.url}", state.with_worker(index, after)

    def _copy(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        yield from self._replaced(state, index, worker, worker.message)

    def _retry(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        assert worker.message is not None
        yield from self._replaced(state, index, worker, worker.message._replace(attempt=worker.message.attempt + 1))

    def _replaced(self, state: State, index: int, worker: Worker, message: Message | None) -> Iterator[Move]:
        """A successor that gets no confirm is published again; one that is turned away ends the process."""
        assert message is not None
        for what, arrived, fate in self._fates(state, message, worker.name):
            match fate:
                case "yes":
                    yield what, arrived.with_worker(index, _next(worker))
                case "no":
                    yield f"{what}; {worker.name} ends", ended(arrived, index)
                case _:
                    yield what, arrived

    def _bury(self, state: State, index: int, worker: Worker) -> Iterator[Move]:
        seen = state.seen._replace(letters=state.seen.letters | {worker.url})
        yield f"{worker.name} buries {worker.url}", state._replace(seen=seen).with_worker(index, _next(worker))

    def _fates(self, state: State, message: Message, name: str) -> Iterator[tuple[str, State, str]]:
        """What becomes of a publication: text, state, and whether its publisher counts it as confirmed."""
        what = f"{name} publishes {message.url}" + (f" (attempt {message.attempt})" if message.attempt else "")
        trusting = Flaw.NO_CONFIRMS in self.flaws
        yield f"{what}: confirmed", state.with_message(message), "yes"
        if state.faults.unconfirmed and not trusting:
            yield f"{what}, the confirm is lost", state.with_message(message).without("unconfirmed"), "unknown"
        if state.faults.refused:
            yield f"{what}: refused", state.without("refused"), "yes" if trusting else "no"
        if state.faults.unroutable:
            unnoticed = trusting or Flaw.NOT_MANDATORY in self.flaws
            yield f"{what}: no queue wants it", state.without("unroutable"), "yes" if unnoticed else "no"

    def _asked(self, state: State, index: int, books: Books, after: Worker, what: str) -> Iterator[Move]:
        """A call that Redis executed: it is answered, or the answer is lost and the client asks again."""
        done, what = state.with_books(books), f"{after.name} {what}"
        yield what, done.with_worker(index, _settled(after))
        if state.faults.lost_replies:
            asking = state.workers[index]
            if not asking.todo and after.message is not None:  # it has taken a delivery with this very move
                asking = after._replace(todo=("begin",), links=(), fetched=False)
            yield f"{what}, the answer is lost", done.without("lost_replies").with_worker(index, asking)


def ended(state: State, index: int) -> State:
    """A process ends by itself: it drops its leases, the broker hands out what it held, another one starts."""
    worker = state.workers[index]
    if worker.held and worker.message is not None:
        state = state.with_message(worker.message)
    leases = frozenset(pair for pair in state.books.leases if pair[1] != worker.name)
    return successor(state.with_books(state.books._replace(leases=leases)), index, beats=False)


def successor(state: State, index: int, *, beats: bool) -> State:
    """Another process takes a dead one's place; whether the dead one's heartbeat holds for a while."""
    old = state.workers[index]
    name = f"{old.name[0]}{int(old.name[1:]) + 1}"
    beating = state.beating | {name} if beats else state.beating - {old.name} | {name}
    return state._replace(beating=beating).with_worker(index, Worker(name, *_first(old)))


def _first(old: Worker) -> tuple[tuple[str, ...], str]:
    """A seeder that was killed is run again; a consumer waits for deliveries."""
    return (SEED, old.url) if old.name.startswith("S") and old.todo else ((), "")


def _next(worker: Worker) -> Worker:
    return _settled(worker._replace(todo=worker.todo[1:]))


def _settled(worker: Worker) -> Worker:
    """A story that is over leaves nothing behind in its process."""
    return worker if worker.todo else Worker(worker.name)
