"""What a crawler may get wrong: orders and omissions, each of which the model must find a counterexample for."""

from enum import Enum


class Flaw(Enum):
    """One departure from the protocol; the value says it in words."""

    MARK_THEN_PUBLISH = "links are marked as known and published from memory: there is no outbox"
    PUBLISH_THEN_MARK = "links are published and marked afterwards, and whoever gets a message fetches it"
    SPLIT = "marking the links and keeping their messages are two steps"
    DELETE_OUTBOX_FIRST = "the outbox is deleted before the confirms"
    FINISH_FIRST = "the parent is finished before its links are published"
    ACK_BEFORE_COMMIT = "the delivery is acknowledged once the page is fetched"
    ACK_BEFORE_PUBLISH = "the delivery is acknowledged once the links are in the outbox"
    ACK_BEFORE_SUCCESSOR = "a retried delivery is acknowledged before its successor is confirmed"
    BURY_LAST = "a dead letter is published after its URL is done"
    NO_CONFIRMS = "what was sent counts as published"
    NOT_MANDATORY = "the broker confirms what no queue wants"
    CONFIRMED_FORGETS_ALL = "after a refusal the whole outbox is forgotten, not what the broker has"
    FINISH_THOUGH_LOST = "finish ends a parent whose outbox Redis has lost"
    LAST_COMMIT_WINS = "a second commit replaces the outbox of the first"
    BEGIN_FORGETS_DONE = "begin does not look whether the URL is done"
    BEGIN_FORGETS_OUTBOX = "begin does not look for an outbox"
    BEGIN_FORGETS_LEASES = "begin does not look for a living consumer's lease"
    BEGIN_FORGETS_ATTEMPTS = "begin does not look whether a later attempt has replaced this one"
    RELEASE_BEFORE_SUCCESSOR = "the next attempt is told to the ledger before its message is confirmed"
    RELEASE_OF_A_LOST_LEASE = "who was frozen tells the ledger which attempt is next, without his lease"
    BUSY_IS_DONE = "a delivery whose URL another consumer holds is acknowledged without a copy"
    NO_SWEEPER = "nobody looks for outboxes that were left behind"


#: Our protocol.
NONE: frozenset[Flaw] = frozenset()
