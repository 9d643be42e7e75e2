"""A ledger by itself: what it owes, who is there to settle it, and whether its books agree with each other."""

from collections.abc import Iterator

from crawl_dedup import Progress
from crawl_producer.doctor.facts import LedgerFacts
from crawl_producer.doctor.finding import Finding, Level

#: Consumers sweep outboxes that are ten seconds old, every fifteen seconds; what is older waits for somebody.
OLD_OUTBOX_S = 60.0


def check(ledger: LedgerFacts) -> list[Finding]:
    """What is wrong with this ledger; a line that sums it up comes first."""
    return [_summary(ledger), *_debts(ledger), *_books(ledger), *_members(ledger)]


def _summary(ledger: LedgerFacts) -> Finding:
    books, debts = ledger.books, ledger.debts
    text = (
        f"{books.admitted:,} admitted, {books.open:,} open, {debts.leases - debts.dead_leases:,} in hand, "
        f"{debts.outboxes:,} outboxes, {ledger.consumers:,} consumers"
    )
    return Finding(Level.OK, str(ledger.name), text)


def _debts(ledger: LedgerFacts) -> Iterator[Finding]:
    subject, debts, crawl = str(ledger.name), ledger.debts, ledger.name.crawl
    if debts.outboxes and debts.oldest_outbox_s > OLD_OUTBOX_S:
        yield Finding(
            Level.WARNING,
            subject,
            f"{debts.outboxes:,} pages have links that RabbitMQ has not confirmed, the oldest for "
            f"{debts.oldest_outbox_s:,.0f} s",
            "a full queue or a missing binding holds them up, or no consumer runs to sweep them",
            f"crawl-doctor {crawl} --repair",
        )
    if debts.dead_leases:
        yield Finding(
            Level.OK,
            subject,
            f"{debts.dead_leases:,} URLs were in the hands of consumers that are gone; they are free for others",
        )
    if ledger.books.open and not ledger.consumers:
        yield Finding(
            Level.WARNING,
            subject,
            f"{ledger.books.open:,} URLs are open and no consumer runs",
            "start some",
            " ".join(["crawl-consumer", *(f"--queue {queue}" for queue in ledger.queues)]),
        )


def _books(ledger: LedgerFacts) -> Iterator[Finding]:
    books, counts = ledger.books, ledger.books.counts
    ended = sum(books.outcomes.values())
    if books.admitted != books.open + ended:
        yield _wrong(ledger, f"{books.admitted:,} admitted are not {books.open:,} open and {ended:,} ended")
    known = books.admitted - counts.get("adopted", 0) + counts.get("duplicate", 0) + _filtered(books)
    if counts.get("discovered", 0) != known:
        yield _wrong(
            ledger,
            f"{counts.get('discovered', 0):,} discovered are not admitted, duplicate and filtered together ({known:,})",
        )


def _members(ledger: LedgerFacts) -> Iterator[Finding]:
    members = ledger.members
    if members is None:
        return
    ended = sum(ledger.books.outcomes.values())
    if (members.open, members.done) != (ledger.books.open, ended):
        yield _wrong(
            ledger,
            f"the counters say {ledger.books.open:,} open and {ended:,} ended, the sets hold {members.open:,} and "
            f"{members.done:,}",
        )


def _filtered(books: Progress) -> int:
    return sum(count for what, count in books.counts.items() if what.startswith("filtered:"))


def _wrong(ledger: LedgerFacts, text: str) -> Finding:
    remedy = "somebody wrote to Redis by hand, or two crawls share a name; crawl it anew after crawl-forget"
    return Finding(
        Level.ERROR, str(ledger.name), f"the books disagree: {text}", remedy, f"crawl-forget {ledger.name.crawl}"
    )
