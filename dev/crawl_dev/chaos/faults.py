"""What was done to a crawl, and which extra fetches that explains."""

import math
from dataclasses import dataclass

#: Statuses from here on are tried again in a chaos run.
_FAILED = 500


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request that the site was asked.

    Attributes:
        at_s: when it came, monotonic seconds.
        consumer: the life of a consumer process that made it.
        url: what it asked for.
        status: what it was answered with.
    """

    at_s: float
    consumer: str
    url: str
    status: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One event that somebody caused, and what follows from it. By default it explains nothing.

    Attributes:
        name: such as ``kill``.
        start_s: when it began, monotonic seconds.
        end_s: when it was over: the process was dead, awake again, the network mended.
        consumers: lives whose work it may have interrupted; None: everyone's.
        at_most: extra fetches that it can account for; None: any number.
        before_s: how long before it began the earlier of two fetches may have been made.
        after_s: how long after it was over the earlier of two fetches may still have been made.
        survived: its consumers live on, so the *later* of the two fetches may be theirs as well.
        only_retried: it explains pages that failed and are tried again, and no others: while the acknowledgement of
            such a page is lost, its retry is already on its way, and the page handed out again is retried as well.
        doubled: messages may have been published twice. The ledger turns copies of what is done or in hand away, but
            a page that waits for its retry is neither: each copy is tried as often as the page would be.
    """

    name: str
    start_s: float
    end_s: float
    consumers: frozenset[str] | None = frozenset()
    at_most: int | None = None
    before_s: float = math.inf
    after_s: float = 0.0
    survived: bool = False
    only_retried: bool = False
    doubled: bool = False

    def explains(self, earlier: Fetch, later: Fetch) -> bool:
        """Whether ``later`` was made because this fault kept ``earlier``, of the same URL, from being booked."""
        interrupted = self._touches(earlier) or (self.survived and self._touches(later))
        retried = not self.only_retried or earlier.status >= _FAILED
        return interrupted and self._met(earlier) and retried and later.at_s >= self.start_s

    def hid_confirm(self, fetch: Fetch) -> bool:
        """Whether the confirm of what was published after ``fetch`` may have been lost: that is published again."""
        return self.only_retried and self._touches(fetch) and self._met(fetch)

    def _met(self, fetch: Fetch) -> bool:
        return self.start_s - self.before_s <= fetch.at_s <= self.end_s + self.after_s

    def _touches(self, fetch: Fetch) -> bool:
        return self.consumers is None or fetch.consumer in self.consumers


class FaultLog(list[Fault]):
    """Every fault of a run, in the order in which they were over."""

    def injected(self, *names: str) -> int:
        """How many faults of these names there were."""
        return sum(fault.name in names for fault in self)
