"""Every derived name in RabbitMQ, as pure functions that are stable when applied twice.

Operators sort and grep by these prefixes: ``crawl.`` is plumbing that every crawl shares, ``dead.`` holds
what failed for good, ``journal.`` keeps copies for a repair, and a work queue's own name is chosen in exchanges.yaml.
"""

#: Where RabbitMQ puts what it moves itself and no binding wants: the alternate exchange of crawl.redeliver and
#: crawl.dead, and its queue. Publishers get their unroutable messages back instead.
UNROUTED = "crawl.unrouted"
#: Direct exchange that a delayed message leaves the ladder through; its routing key is the work queue's name.
REDELIVER = "crawl.redeliver"
#: Direct exchange for messages that failed for good; the routing key is the work queue's name.
DEAD = "crawl.dead"

_DUE = ".due"
_DEAD = "dead."
_JOURNAL = "journal."

#: The first rung of the delay ladder; each next one doubles it.
FIRST_DELAY_MS = 250
#: 250 ms x 2^20 is three days. A longer wait hops again; with a rung for each bit of the wait, a URL in the row of a
#: host with a million others hops 20 times at most (docs/politeness.md), and not once an hour.
DELAYS_MS = tuple(FIRST_DELAY_MS << k for k in range(21))


def due_queue(queue: str) -> str:
    """The companion that parked messages of ``queue`` return to, and that consumers read first."""
    return queue if queue.endswith(_DUE) else queue + _DUE


def work_queue(queue: str) -> str:
    """The work queue that a companion belongs to; a work queue is its own."""
    return queue.removesuffix(_DUE)


def dead_queue(queue: str) -> str:
    """Where the dead letters of ``queue`` (or of its companion) are kept."""
    return queue if queue.startswith(_DEAD) else _DEAD + work_queue(queue)


def journal(crawl: str) -> str:
    """The stream that keeps a copy of each message of ``crawl``."""
    return crawl if crawl.startswith(_JOURNAL) else _JOURNAL + crawl


def delay_exchange(wait_ms: float) -> str:
    """The rung that holds a message for at least ``wait_ms``, or the longest there is."""
    rung = next((rung for rung in DELAYS_MS if rung >= wait_ms), DELAYS_MS[-1])
    return f"crawl.delay.{rung}"


def delay_exchange_within(wait_ms: float) -> str:
    """The longest rung that is over no later than ``wait_ms``, for a message that hops the rest once it is back.

    One hop by :func:`delay_exchange` is late by up to the whole wait; this and another one by at most a third.
    For waits below the first rung it is the first rung.
    """
    rung = next((rung for rung in reversed(DELAYS_MS) if rung <= wait_ms), FIRST_DELAY_MS)
    return f"crawl.delay.{rung}"


def delay_queue(delay_ms: int) -> str:
    """The queue of one rung; exchange and queue share their name."""
    return f"crawl.delay.{delay_ms}"
