"""The ledger of the model: ledger.lua without its counters, as pure functions from books to books.

A crawl's books are what Redis holds. Every function here is one atomic step. Time is not modelled: a heartbeat
may run out, and an outbox become old enough for the sweep, at any moment.
"""

from typing import NamedTuple

from model.flaws import Flaw

Flaws = frozenset[Flaw]
Urls = frozenset[str]


class Books(NamedTuple):
    """One ledger in Redis."""

    admitted: Urls = frozenset()  #: not yet done
    done: Urls = frozenset()
    outboxes: frozenset[tuple[str, Urls]] = frozenset()  #: (parent, children whose messages wait)
    leases: frozenset[tuple[str, str]] = frozenset()  #: (URL, consumer)
    tries: frozenset[tuple[str, int]] = frozenset()  #: (open URL, the latest attempt that replaced an earlier one)

    @property
    def complete(self) -> bool:
        return bool(self.done) and not self.admitted and not self.outboxes

    def latest(self, url: str) -> int:
        return next((attempt for retried, attempt in self.tries if retried == url), 0)

    def outbox(self, parent: str) -> Urls | None:
        return next((children for owner, children in self.outboxes if owner == parent), None)

    def holder(self, url: str, beating: Urls) -> str:
        """The living consumer that holds the lease on this URL, or nobody."""
        return next((name for leased, name in self.leases if leased == url and name in beating), "")


class Answer(NamedTuple):
    """What a function says, the children to publish, and the books it leaves."""

    word: str
    books: Books
    children: Urls = frozenset()


def is_url(parent: str) -> bool:
    """A seed batch's synthetic parent is neither admitted nor done."""
    return not parent.startswith("s.")


def begin(books: Books, url: str, me: str, beating: Urls, flaws: Flaws, attempt: int = 0) -> Answer:
    if url in books.done and Flaw.BEGIN_FORGETS_DONE not in flaws:
        return Answer("done", books)
    if books.holder(url, beating) not in ("", me) and Flaw.BEGIN_FORGETS_LEASES not in flaws:
        return Answer("busy", books)
    kept = books.outbox(url)
    if kept is None and books.latest(url) > attempt and Flaw.BEGIN_FORGETS_ATTEMPTS not in flaws:
        return Answer("done", books)
    books = _leased(books, url, me)
    if kept is not None and Flaw.BEGIN_FORGETS_OUTBOX not in flaws:
        return Answer("publish", books, kept)
    return Answer("go", books._replace(admitted=books.admitted | {url} - books.done))


def commit(books: Books, parent: str, me: str, links: Urls, flaws: Flaws) -> Answer:
    if parent in books.done:
        return Answer("done", books)
    if is_url(parent):
        books = books._replace(admitted=books.admitted | {parent})
    kept = books.outbox(parent)
    if kept is not None and Flaw.LAST_COMMIT_WINS not in flaws:
        return Answer("kept", books, kept)
    new = links - books.admitted - books.done
    if not new:
        return Answer("finished", _ended(books, parent))
    if Flaw.PUBLISH_THEN_MARK in flaws:
        return Answer("new", books, new)
    books = books._replace(admitted=books.admitted | new)
    if not flaws & {Flaw.MARK_THEN_PUBLISH, Flaw.SPLIT}:
        books = keep(books, parent, me, new)
    return Answer("new", books, new)


def keep(books: Books, parent: str, me: str, children: Urls) -> Books:
    """The half of commit that fills the outbox."""
    return _leased(_with_outbox(books, parent, children), parent, me)


def finish(books: Books, parent: str, links: Urls, flaws: Flaws) -> Answer:
    if Flaw.PUBLISH_THEN_MARK in flaws:
        books = books._replace(admitted=books.admitted | links - books.done)
    elif books.outbox(parent) is None and not flaws & _FINISH_UNASKED and is_url(parent):
        return Answer("finished" if parent in books.done else "lost", books)
    return Answer("finished", _ended(books, parent))


#: Flaws under which finish does not ask for an outbox.
_FINISH_UNASKED = frozenset({Flaw.MARK_THEN_PUBLISH, Flaw.DELETE_OUTBOX_FIRST, Flaw.FINISH_THOUGH_LOST})


def confirmed(books: Books, parent: str, children: Urls, flaws: Flaws) -> Books:
    kept = books.outbox(parent)
    if kept is None:
        return books
    return _with_outbox(books, parent, frozenset() if Flaw.CONFIRMED_FORGETS_ALL in flaws else kept - children)


def delete_outbox(books: Books, parent: str) -> Books:
    """A half of finish that must not be a step of its own."""
    return books._replace(outboxes=frozenset(pair for pair in books.outboxes if pair[0] != parent))


def release(books: Books, url: str, me: str, next_attempt: int = 0, flaws: Flaws = frozenset()) -> Books:
    if (url, me) not in books.leases and Flaw.RELEASE_OF_A_LOST_LEASE not in flaws:
        return books
    books = books._replace(leases=books.leases - {(url, me)})
    if next_attempt <= books.latest(url) or url not in books.admitted:
        return books
    return books._replace(tries=_others(books.tries, url) | {(url, next_attempt)})


def restart(books: Books, urls: Urls) -> Books:
    tries = frozenset(pair for pair in books.tries if pair[0] not in urls)
    return books._replace(tries=tries, leases=frozenset(pair for pair in books.leases if pair[0] not in urls))


def reopen(books: Books, url: str) -> Books:
    """Of a URL that is done: nobody has a lease on it."""
    return books._replace(done=books.done - {url}, admitted=books.admitted | {url})


def orphan(books: Books, parent: str, me: str) -> Answer:
    """An outbox without a living holder, leased to the sweeper."""
    return Answer("orphan", _leased(books, parent, me), books.outbox(parent) or frozenset())


def _ended(books: Books, parent: str) -> Books:
    books = delete_outbox(books, parent)
    books = books._replace(leases=frozenset(pair for pair in books.leases if pair[0] != parent))
    if is_url(parent):
        tries = _others(books.tries, parent)
        return books._replace(admitted=books.admitted - {parent}, done=books.done | {parent}, tries=tries)
    return books


def _others(tries: frozenset[tuple[str, int]], url: str) -> frozenset[tuple[str, int]]:
    return frozenset(pair for pair in tries if pair[0] != url)


def _leased(books: Books, url: str, me: str) -> Books:
    others = frozenset(pair for pair in books.leases if pair[0] != url)
    return books._replace(leases=others | {(url, me)})


def _with_outbox(books: Books, parent: str, children: Urls) -> Books:
    return books._replace(outboxes=delete_outbox(books, parent).outboxes | {(parent, children)})
