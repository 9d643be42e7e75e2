"""A rate over the last few readings of a counter that only grows."""

from collections import deque

#: Readings that the rate is taken over: recent enough to follow a crawl, long enough not to flicker.
READINGS = 10


class Rate:
    """Feed it (time, count) pairs; it tells how many were added each second lately."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque(maxlen=READINGS)

    def add(self, now_s: float, count: int) -> float:
        """Take a reading and return the rate per second; 0 until there are two readings."""
        self._readings.append((now_s, count))
        (first_s, first), (last_s, last) = self._readings[0], self._readings[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0
