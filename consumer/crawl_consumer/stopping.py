"""Two-step shutdown: the first signal asks for an end, the second forces it."""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_signals(*, first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT call ``first`` once and ``second`` from then on, in the event loop."""
    loop = asyncio.get_running_loop()
    seen = 0

    def received(number: signal.Signals) -> None:
        nonlocal seen
        seen += 1
        log.info("%s: %s", number.name, "finishing what is in flight" if seen == 1 else "leaving at once")
        (first if seen == 1 else second)()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
