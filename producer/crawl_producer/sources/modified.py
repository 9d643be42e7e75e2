"""The dates of sitemaps and feeds, as Unix times; what cannot be read counts as not said."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_YEAR_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
#: Seconds with more digits than Python takes.
_FRACTION = re.compile(r"(\.\d{6})\d+")


def latest_ms(text: str) -> int | None:
    """The last moment that ``text`` may mean: the end of a day, month or year that is named without a time.

    So whoever asks for what is newer than a moment gets too much rather than too little.

    Args:
        text: a W3C date (https://www.w3.org/TR/NOTE-datetime), as in sitemaps and Atom, or one of RFC 822, as in RSS.
            Without a time zone it is UTC.
    """
    text = text.strip()
    try:
        if (short := _YEAR_MONTH.fullmatch(text)) is not None:
            return _ms(_end_of(int(short[1]), int(short[2]) if short[2] else None))
        moment = _moment(text)
        if _DAY.fullmatch(text):
            moment += timedelta(days=1)
        return _ms(moment)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        return parsedate_to_datetime(text)


def _end_of(year: int, month: int | None) -> datetime:
    if month is None or month == 12:
        return datetime(year + 1, 1, 1, tzinfo=UTC)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _ms(moment: datetime) -> int:
    """Raises ValueError: before there was a web, which is what broken dates are mostly taken for."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.year < 1990:
        raise ValueError("no date of a page")
    return round(moment.timestamp() * 1000)
