"""One moment of a crawl: what Redis, the broker and the processes hold, and what the adversary may still do."""

from collections.abc import Mapping
from typing import NamedTuple

from model.books import Books, Urls


class Message(NamedTuple):
    """A URL message: it may be copied, the URL's fate may not."""

    url: str
    attempt: int = 0


class Worker(NamedTuple):
    """A process with one story at a time. A consumer between stories has nothing to do."""

    name: str  #: a new one for each process, as lease holder
    todo: tuple[str, ...] = ()  #: the steps that are left, see model.protocol
    url: str = ""  #: the parent at hand: a URL, or a seed batch
    message: Message | None = None  #: the delivery at hand; a seeder and a sweep have none
    held: bool = False  #: the delivery is unacknowledged and its connection lives
    fetched: bool = False  #: the page is in this process' memory
    links: tuple[str, ...] = ()  #: children that are still to be published
    confirmed: Urls = frozenset()  #: children that the broker has
    failed: bool = False  #: some child was refused or returned


class Faults(NamedTuple):
    """How often the adversary may still do what."""

    crashes: int = 0  #: kill -9 of a process, between any two steps
    freezes: int = 0  #: SIGSTOP beyond heartbeat and connection, and on it goes
    rollbacks: int = 0  #: Redis dies and comes back with what it had at some earlier moment
    lost_replies: int = 0  #: a call was executed and its answer lost; the client repeats it
    disconnects: int = 0  #: the broker hands out again what a living consumer has in hand
    unconfirmed: int = 0  #: a message arrived and its confirm is lost
    refused: int = 0  #: a full queue nacks a message
    unroutable: int = 0  #: no queue wants a message, which is returned if it is mandatory
    replays: int = 0  #: somebody replays a dead letter

    def __str__(self) -> str:
        return ", ".join(f"{n} {what}" for what, n in self._asdict().items() if n) or "no faults"


class Seen(NamedTuple):
    """What happened so far: no process knows it, the properties need it."""

    ended: Urls = frozenset()  #: ever done
    fetches: tuple[str, ...] = ()  #: one entry a request, sorted
    excused: tuple[str, ...] = ()  #: one entry for each more request that a fault explains, sorted
    letters: Urls = frozenset()  #: dead letters


class State(NamedTuple):
    """All of it."""

    workers: tuple[Worker, ...]
    beating: Urls  #: processes whose heartbeat has not run out
    faults: Faults
    broker: tuple[Message, ...] = ()  #: ready messages, delayed ones among them, sorted
    books: Books = Books()
    disk: Books | None = None  #: what Redis will come back with, once the adversary has chosen it
    seen: Seen = Seen()

    def with_worker(self, index: int, worker: Worker) -> "State":
        return self._replace(workers=(*self.workers[:index], worker, *self.workers[index + 1 :]))

    def with_books(self, books: Books) -> "State":
        if books == self.books:
            return self
        return self._replace(books=books, seen=self.seen._replace(ended=self.seen.ended | books.done))

    def with_message(self, message: Message) -> "State":
        return self._replace(broker=tuple(sorted((*self.broker, message))))

    def excusing(self, url: str) -> "State":
        """One more request for this page is explained."""
        return self._replace(seen=self.seen._replace(excused=tuple(sorted((*self.seen.excused, url)))))

    def without(self, fault: str) -> "State":
        """The adversary has one such fault less."""
        return self._replace(faults=self.faults._replace(**{fault: getattr(self.faults, fault) - 1}))


class Site(NamedTuple):
    """The web: what links where, which pages fail at how many attempts, and how many there are."""

    seeds: tuple[str, ...]
    links: Mapping[str, str]
    fails: Mapping[str, int] = {}
    attempts: int = 2  #: fetches of a page that goes on failing, before it becomes a dead letter

    def links_of(self, url: str) -> Urls:
        return frozenset(self.links.get(url, ""))

    @property
    def reachable(self) -> Urls:
        found, todo = set[str](), list(self.seeds)
        while todo:
            if (url := todo.pop()) not in found:
                found.add(url)
                todo.extend(self.links_of(url) if self.fails.get(url, 0) < self.attempts else ())
        return frozenset(found)
