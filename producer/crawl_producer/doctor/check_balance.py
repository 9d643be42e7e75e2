"""Ledger against broker: every open URL has a message somewhere, or it waits for ever.

RabbitMQ cannot be asked for one URL's message, so messages are counted. What is counted here is only ever too much on
the side of the messages: copies count twice, the ladder of delays belongs to all crawls, and what moves between two
looks may be missed by both. So a shortfall that is left is real, and a small loss may stay unseen until the crawl
comes to rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from crawl_producer import names
from crawl_producer.doctor.facts import LedgerFacts, Look, QueueFacts
from crawl_producer.doctor.finding import Finding, Level

#: Between two looks: longer than the management API's counts may be old.
BETWEEN_LOOKS_S = 6.0


@dataclass(frozen=True, slots=True)
class Balance:
    """One group's open URLs and messages.

    Attributes:
        ledger: whose.
        short: open URLs beyond the messages in its queues, its outboxes, and among dead letters; None where nobody
            knows how many messages consumers have in hand.
        unread: dead letters beside these that nobody has looked at; each may be an open URL's.
    """

    ledger: LedgerFacts
    short: int | None
    unread: int = 0


def balances(look: Look) -> list[Balance]:
    """The balance of each group, by one look."""
    return [Balance(ledger, _short(ledger, look), _unread(ledger, look)) for ledger in look.ledgers]


def suspicious(look: Look) -> bool:
    """Whether a second look is needed: what consumers had in hand may be settled, and only not yet counted as such."""
    idle = {name: replace(queue, unacked=0) if not queue.consumers else queue for name, queue in look.queues.items()}
    return any((balance.short or 0) > 0 for balance in balances(replace(look, queues=idle)))


def letters_that_matter(look: Look) -> list[str]:
    """The work queues whose dead letters must be read: those of groups that may miss messages, if they have any."""
    idle = {name: replace(queue, unacked=0) for name, queue in look.queues.items()}
    short = [balance.ledger for balance in balances(replace(look, queues=idle)) if (balance.short or 0) > 0]
    dead = {queue: look.queues.get(names.dead_queue(queue)) for ledger in short for queue in ledger.queues}
    return [queue for queue, facts in dead.items() if facts and (facts.ready or facts.consumers)]


def check(first: Look, second: Look, *, journals: Mapping[str, bool]) -> list[Finding]:
    """What both looks miss.

    Args:
        first: one look …
        second: … and one at least BETWEEN_LOOKS_S later; the same again when nothing was suspicious. Dead letters are
            read between the two: then one that is replayed meanwhile is missed by one of the looks at most.
        journals: whether each crawl's journal is there, for the remedy.
    """
    ladder = max(_ladder(first.queues), _ladder(second.queues))
    first = replace(first, queues=_corrected(first.queues, second.queues))
    pairs = list(zip(balances(first), balances(second), strict=True))
    missing = [_missing(before, after) for before, after in pairs]
    found = [
        finding
        for (before, _), lost in zip(pairs, missing, strict=True)
        for finding in _of_group(before, lost, ladder, journals)
    ]
    together = (
        sum(max(0, (lost or 0) - before.unread) for (before, _), lost in zip(pairs, missing, strict=True)) - ladder
    )
    if together > 0 and not any(finding.level is Level.ERROR for finding in found):
        found.append(
            Finding(
                Level.ERROR,
                "rabbitmq",
                f"all crawls together have at least {together:,} open URLs without a message",
                "publish them again",
                "crawl-doctor --repair",
            )
        )
    return found


def _of_group(balance: Balance, lost: int | None, ladder: int, journals: Mapping[str, bool]) -> Iterator[Finding]:
    name = balance.ledger.name
    if lost is None:
        yield Finding(
            Level.WARNING,
            str(name),
            "whether messages are missing cannot be told: consumers have some in hand, and only the management API "
            "knows how many",
            "let connection.management (CRAWL_RABBITMQ_MANAGEMENT) name it, or stop the consumers and look again",
        )
    elif lost > ladder + balance.unread:
        lost -= balance.unread
        sources = "publish them again from the journal" if journals.get(name.crawl) else "name files that have them"
        option = "" if journals.get(name.crawl) else " --from FILE"
        yield Finding(
            Level.ERROR,
            str(name),
            f"at least {lost - ladder:,} open URLs have no message: a queue was purged or deleted, or Redis has lost "
            "the marks that they were done",
            sources,
            f"crawl-doctor {name.crawl} --repair{option}",
        )
    elif lost > ladder:
        yield Finding(
            Level.WARNING,
            str(name),
            f"{lost - ladder:,} open URLs have no message, unless they are among {balance.unread:,} dead letters that "
            "were not looked at",
            "look at all of them, or end them with crawl-dead",
            f"crawl-doctor {name.crawl} --deep",
        )


def _missing(before: Balance, after: Balance) -> int | None:
    """What both looks miss, less what moved between them: a URL that moves may be in neither place as it is read."""
    if before.short is None or after.short is None:
        return None
    return max(0, min(before.short, after.short) - _moved(before.ledger, after.ledger))


def _moved(before: LedgerFacts, after: LedgerFacts) -> int:
    admitted = after.books.admitted - before.books.admitted
    ended = sum(after.books.outcomes.values()) - sum(before.books.outcomes.values())
    return max(0, admitted) + max(0, ended)


def _short(ledger: LedgerFacts, look: Look) -> int | None:
    queues = look.queues
    mine = [name for queue in ledger.queues for name in (queue, names.due_queue(queue)) if name in queues]
    dead = [name for queue in ledger.queues if (name := names.dead_queue(queue)) in queues]
    in_hand = [_in_hand(queues[queue]) for queue in mine]
    if None in in_hand or None in (_in_hand(queues[queue]) for queue in dead):
        return None
    messages = sum(queues[queue].ready + queues[queue].held for queue in mine) + sum(count or 0 for count in in_hand)
    kept = ledger.debts.outbox_messages + ledger.debts.outboxes
    letters = sum(look.dead[queue].open for queue in ledger.queues if queue in look.dead)
    return ledger.books.open - messages - kept - letters


def _unread(ledger: LedgerFacts, look: Look) -> int:
    return sum(look.dead[queue].unread for queue in ledger.queues if queue in look.dead)


def _corrected(before: Mapping[str, QueueFacts], after: Mapping[str, QueueFacts]) -> Mapping[str, QueueFacts]:
    """The first look, where it counted as in hand what had been settled seconds before."""
    return {name: replace(queue, unacked=_fewer(queue, after.get(name))) for name, queue in before.items()}


def _fewer(before: QueueFacts, after: QueueFacts | None) -> int | None:
    if before.unacked is None or after is None or after.unacked is None:
        return before.unacked
    return min(before.unacked, after.unacked)


def _in_hand(queue: QueueFacts) -> int | None:
    """What consumers have; nobody has what nobody consumes, also where nobody tells."""
    return queue.unacked if queue.unacked is not None or queue.consumers else 0


def _ladder(queues: Mapping[str, QueueFacts]) -> int:
    rungs = [queues[rung] for rung in map(names.delay_queue, names.DELAYS_MS) if rung in queues]
    return sum(rung.ready + (rung.unacked or 0) + rung.held for rung in rungs)
