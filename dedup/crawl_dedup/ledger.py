"""The ledger's promise: which URLs are admitted, which are done, and which links still wait to be published.

RabbitMQ and Redis share no transaction, so the ledger is a transactional outbox. A consumer of URL *p*
calls :meth:`Ledger.begin`, fetches, calls :meth:`Ledger.commit` with the links it found, publishes whatever
commit returns, waits for every confirm and calls :meth:`Ledger.finish`; only then does it acknowledge *p*.
Every call is one atomic, idempotent step, so a crash or a lost reply between any two leaves nothing but a
repetition. The invariant, for every URL *c*:

    c is admitted or done  ⇒  c is done, or some outbox holds c's message, or the broker has confirmed a
    message for c that is not acknowledged, or a consumer holds it.

Two implementations keep this promise: :mod:`crawl_dedup.redis_ledger` and, for tests and small crawls in one
process, :mod:`crawl_dedup.memory_ledger`. Both pass ``tests/contract/test_ledger_contract.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NewType, Protocol, Self

#: A URL's identity within one ledger: ``<bucket in hex>.<signed 64-bit integer>``; see crawl_dedup.fingerprint.
#: A seed batch's synthetic parent begins with ``s.`` and is never counted, admitted or done.
Fingerprint = NewType("Fingerprint", str)

#: An outbox entry that the ledger keeps and returns as it was given.
EncodedMessage = bytes


@dataclass(frozen=True, slots=True)
class LedgerName:
    """Whose memory: consumers of one crawl and one group share a ledger; two groups each crawl everything."""

    crawl: str
    group: str = "main"

    def __str__(self) -> str:
        return f"{self.crawl}/{self.group}"


class Verdict(Enum):
    """What :meth:`Ledger.begin` says a consumer should do with a delivery."""

    GO = "go"  #: fetch it: the lease is yours
    PUBLISH = "publish"  #: it was fetched before; publish its outbox, do not fetch again
    DONE = "done"  #: nothing is left to do: acknowledge
    BUSY = "busy"  #: a living consumer holds the lease: come back later


class Standing(Enum):
    """How a URL stands, for whoever would publish its message again (:meth:`Ledger.standing`)."""

    FREE = "free"  #: open, and nobody is at work on it: if RabbitMQ has no message for it, it is lost
    HELD = "held"  #: open; a living consumer has it, or it is fetched and its outbox is still to be published
    DONE = "done"
    UNKNOWN = "unknown"


class Finale(Enum):
    """What :meth:`Ledger.claim_finale` says about the end of the crawl."""

    OPEN = "open"  #: the crawl is not complete
    MINE = "mine"  #: it is, and what follows its end is the caller's to do
    THEIRS = "theirs"  #: a living consumer is doing it
    OVER = "over"  #: it was done since the last URL was admitted


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer of :meth:`Ledger.claim_finale`; ``admitted`` is set for MINE: how many URLs the complete crawl has."""

    finale: Finale
    admitted: int = 0


@dataclass(frozen=True, slots=True)
class Outbox:
    """A committed parent's messages that the broker has not yet confirmed."""

    parent: Fingerprint
    outcome: str
    messages: tuple[tuple[Fingerprint, EncodedMessage], ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer of :meth:`Ledger.begin`.

    Attributes:
        verdict: what to do.
        outbox: set only for PUBLISH.
        wait_ms: set only for BUSY.
        trials: set only for GO, and only if a consumer died while it had this URL in hand: how many
            :meth:`Ledger.trial` calls have not been followed by :meth:`Ledger.cleared`. None: no suspicion.
    """

    verdict: Verdict
    outbox: Outbox | None = None
    wait_ms: int = 0
    trials: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What became of a parent: its outcome, its links' messages, and counts for the books.

    Attributes:
        parent: the URL whose work ends here, or a seed batch's synthetic parent.
        outcome: how it ended (``ok``, ``not_found``, …); counted once, when the parent is finished.
        messages: distinct children, each with the complete message to publish if the child is new.
        counts: further counters to add exactly once, such as ``filtered:depth``.
        max_admitted: admit no child beyond this many URLs in the whole ledger (0: no limit); children
            turned away for this are counted as ``filtered:max_pages``.
        max_per_host: admit no child beyond this many URLs of its host that were admitted by such commits (0: no limit);
            children turned away for this are counted as ``filtered:max_pages_per_host``.
        hosts: the host of each child, in the order of ``messages``; needed with ``max_per_host`` only.
        relies_on: the memory (:attr:`Ledger.born`) to which links are known that were left out; empty: none was.
    """

    parent: Fingerprint
    outcome: str
    messages: Sequence[tuple[Fingerprint, EncodedMessage]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    max_admitted: int = 0
    relies_on: str = ""
    max_per_host: int = 0
    hosts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """The answer of :meth:`Ledger.commit`.

    ``outbox`` is what must now be published and confirmed before finish; ``None`` means that nothing was new
    and the parent is finished already. The four counts are of this commit's children and are zero when an
    earlier commit of the same parent had won.
    """

    outbox: Outbox | None
    admitted: int = 0
    duplicate: int = 0
    over_limit: int = 0
    over_host_limit: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """One ledger's books at one moment. The crawl is complete exactly when it has begun and ``open`` is 0.

    Attributes:
        admitted: URLs ever admitted.
        open: admitted and not yet done.
        outboxes: parents whose links are not all published.
        counts: every counter: ``outcome:<name>``, ``duplicate``, ``discovered``, ``filtered:<reason>``.
    """

    admitted: int
    open: int
    outboxes: int
    counts: Mapping[str, int]

    @property
    def complete(self) -> bool:
        """Whether everything that was ever admitted has ended."""
        return self.admitted > 0 and self.open == 0 and self.outboxes == 0

    @property
    def outcomes(self) -> dict[str, int]:
        """Done URLs by outcome."""
        return {k.removeprefix("outcome:"): v for k, v in self.counts.items() if k.startswith("outcome:")}


class Ledger(Protocol):
    """One crawl's memory as one consumer sees it. Every method may raise LedgerUnavailable."""

    @property
    def name(self) -> LedgerName:
        """Whose memory this is."""

    @property
    def born(self) -> str:
        """The mark of this memory as of the last heartbeat; another one when the crawl was forgotten in between.

        It says when it was begun (:func:`crawl_dedup.birth.born_ms`).
        """

    @property
    def interruptions(self) -> int:
        """Grows whenever the way to this memory was lost: it may have gone back to an earlier moment since."""

    def fingerprint(self, canonical_url: str) -> Fingerprint:
        """The identity of a canonical URL under this crawl's hash key. Pure and fast."""

    def seed_parent(self, batch: bytes) -> Fingerprint:
        """The synthetic parent of a seed batch: the same bytes always give the same parent."""

    async def begin(self, url: Fingerprint, *, attempt: int = 0) -> Begun:
        """Take the lease on ``url`` or learn why not; puts ``url`` among the admitted if it was unknown.

        Args:
            url: the delivery's URL.
            attempt: the attempt that its message is for, from 0 on. DONE when a later one's has replaced it
                (:meth:`release`): this is a copy that a crash has left, and a message is there besides.
        """

    async def commit(self, commit: Commit) -> Committed:
        """Admit the new children and keep their messages, in one step; the first commit of a parent wins.

        Raises:
            LedgerForgot: this is not the memory that the commit relies on; nothing was done.
        """

    async def finish(self, parent: Fingerprint) -> bool:
        """End ``parent`` after its outbox is confirmed: delete the outbox, admitted → done, drop my lease.

        Returns False when there is neither an outbox nor a done mark: Redis lost the commit, begin again.
        """

    async def confirmed(self, parent: Fingerprint, children: Sequence[Fingerprint]) -> None:
        """Take messages that the broker has out of the outbox, when others of it could not be published yet."""

    async def release(self, url: Fingerprint, *, next_attempt: int = 0) -> None:
        """Drop my lease without an end: the URL was parked, is retried later, or goes back to the broker.

        Args:
            url: what was in hand.
            next_attempt: the attempt for which the broker has *confirmed* a message in place of the one in hand: no
                copy of an earlier one matters from now on. 0: there is none. Means nothing when the lease is not mine
                any more: then the attempts may have begun anew since.
        """

    async def restart(self, urls: Sequence[Fingerprint]) -> None:
        """Let messages of any attempt matter again, for open URLs whose latest ones may be lost.

        Leases on them are their consumers' no more; :meth:`reopen` does the same with those of the dead and the frozen.
        """

    async def trial(self, url: Fingerprint, number: int) -> None:
        """Note that a URL that a consumer died over is tried alone, for the ``number``-th time."""

    async def cleared(self, url: Fingerprint) -> None:
        """Take back the suspicion: the consumer has survived this URL."""

    async def reopen(self, url: Fingerprint, *, outcome: str, letter: str) -> bool:
        """Take a done URL back, done → admitted, because its dead letter is about to be published again.

        One letter reopens its URL once, however often a killed replay is repeated within ``REOPENED_TTL_S``: a URL
        that is admitted stays so, and one that has ended since this letter had reopened it stays done.

        Args:
            url: the dead letter's URL; one that nobody knows is admitted, as in :meth:`begin`.
            outcome: how it ended, which is counted no more; empty: the letter does not say that its URL had
                ended, so one that is done ended by another message.
            letter: tells this letter from any other of the same URL.

        Returns:
            True: the URL is open, publish its message. False: it has ended, nothing is left to do for this letter.
        """

    async def give_up(self, url: Fingerprint, outcome: str, *, letter: str = "") -> bool:
        """End an open URL whose last message is about to be dropped; True if this ended it.

        Left alone: what is done or unknown, what a living consumer holds, and a parent with an outbox.

        Args:
            url: the dropped message's URL.
            outcome: how it ends.
            letter: the dead letter of a URL that had ended; if it is open nevertheless, and another letter has
                reopened it, it has a message of its own and is left alone too. Empty: it had not ended.
        """

    async def heartbeat(self) -> None:
        """Tell the ledger that this consumer lives, and works on what it has in hand; see ``ALIVE_TTL_S``."""

    async def leave(self) -> None:
        """Withdraw the heartbeat, so that what this consumer still held is free at once."""

    async def orphans(self, *, limit: int = 10) -> Sequence[Outbox]:
        """Outboxes whose committer is gone (oldest first); each returned one is leased to the caller.

        Fewer than ``limit``, and at least one, when they hold some thousand messages.
        """

    async def standing(self, urls: Sequence[Fingerprint]) -> Sequence[Standing]:
        """How each of these URLs stands, read in one step that changes nothing; some hundreds at once."""

    async def claim_finale(self, what: str) -> Claim:
        """Take it upon oneself to do what follows the end of the crawl, or learn why not. The first to come has it.

        Whether the crawl is complete and whose the finale is are decided in one step. The claim holds while its
        consumer's heartbeats come; when he dies before :meth:`finale_over`, the next one has it. A crawl that gets new
        URLs after its end has another finale.

        Args:
            what: names the finale; a crawl may have several.
        """

    async def finale_over(self, what: str, claim: Claim) -> None:
        """Note that it was done, so that nobody does it again for the same end."""

    async def progress(self) -> Progress:
        """The books, read in one step."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


#: A consumer's leases hold this long after its last heartbeat: after kill -9 its URLs wait at most this long.
ALIVE_TTL_S = 15.0
#: Three heartbeats fit into the time to live, so two may be late.
HEARTBEAT_S = 5.0
#: A lease holds this long after it was taken or renewed; each heartbeat renews those of the URLs in hand. One that
#: nobody renews came back with a Redis that had lost its last second: its URL waits at most this long.
LEASE_HOLDS_S = 30.0
#: How long it is remembered which letter has reopened a URL: a killed replay that is repeated later than this may
#: fetch what it had replayed once more. Costs about 150 bytes of Redis for each replayed letter meanwhile.
REOPENED_TTL_S = 7 * 86_400.0
#: How long a URL stays suspect after a consumer died over it, unless it is tried again before. Longer than a URL waits
#: for its host in most crawls; if it waits longer, it is tried beside others once more.
SUSPECT_TTL_S = 86_400.0
