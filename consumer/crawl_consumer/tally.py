"""What one process did and holds, for its progress line and its report."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from operator import add


@dataclass(slots=True)
class Tally:
    """Counts of one crawl in this process."""

    fetched: int = 0
    bytes: int = 0
    in_flight: int = 0
    #: hosts of the URLs in hand, now and at most: where hosts have delays, throughput depends on this number
    distinct_hosts_in_window: int = 0
    most_hosts_in_window: int = 0
    parked: int = 0
    deferred: int = 0  #: parked until their hosts' turn
    retried: int = 0
    dead: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """The sum of both."""
        return Tally(*map(add, astuple(self), astuple(other)))


class HostsInWindow:
    """Keeps a tally's numbers of hosts.

    Args:
        tally: where they are kept.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._urls: Counter[str] = Counter()

    @contextmanager
    def one_of(self, host: str) -> Iterator[None]:
        """While inside, a URL of ``host`` is in hand."""
        self._urls[host] += 1
        self._tell()
        try:
            yield
        finally:
            self._urls[host] -= 1
            if not self._urls[host]:
                del self._urls[host]
            self._tell()

    def _tell(self) -> None:
        tally = self._tally
        tally.distinct_hosts_in_window = len(self._urls)
        tally.most_hosts_in_window = max(tally.most_hosts_in_window, tally.distinct_hosts_in_window)
