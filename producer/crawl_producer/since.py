"""What ``--since`` means: a day, a moment, or a span back from now."""

import re
import time
from datetime import UTC, datetime

from crawl_producer import durations

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def since_ms(text: str) -> int:
    """Unix time in milliseconds.

    Args:
        text: ``2026-12-01`` (its beginning in UTC), ``2026-12-01T08:00Z``, or ``24h``, ``7d``: so long ago.

    Raises:
        ValueError: not of these forms; the message says what would be right.
    """
    try:
        return time.time_ns() // 1_000_000 - int(durations.seconds(text) * 1000)
    except ValueError:
        pass
    try:
        if _DAY.fullmatch(text):
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        return durations.moment_ms(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write 2026-12-01, 2026-12-01T08:00Z, or 24h for a day ago") from None
