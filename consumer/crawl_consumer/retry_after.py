"""What a Retry-After field asks for, in both of its forms (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Nobody is obeyed for longer than a day: a year of silence is a mistake, or malice.
LONGEST_MS = 86_400_000


def retry_after_ms(value: str | None, *, now_s: float) -> int:
    """How long to wait, 0 … LONGEST_MS milliseconds; 0 for what is missing, over, or neither of the two forms.

    Args:
        value: the field's value: delta-seconds (``120``) or an HTTP-date (``Fri, 31 Dec 1999 23:59:59 GMT``).
        now_s: Unix time at which the answer came.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]) * 1000, LONGEST_MS)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:  # "-0000" is how mail says that it does not know; HTTP knows nothing but GMT
            until = until.replace(tzinfo=UTC)
        wait_s = (until - datetime.fromtimestamp(now_s, UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0
    return max(0, min(int(wait_s * 1000), LONGEST_MS))
