"""Spans and moments as people write them: ``90s``, ``1h30m``, ``3d``; ``2026-12-01T08:00Z``."""

import re
from datetime import datetime

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|[smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def seconds(text: str) -> float:
    """The length of a span in seconds: numbers with a unit each, added up.

    Args:
        text: units are ``ms``, ``s``, ``m`` (minutes), ``h``, ``d`` and ``w``.

    Raises:
        ValueError: not of this form; the message says what would be.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no span of time; write 90s, 10m, 1h30m, 3d or 2w")
    return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))


def moment_ms(text: str) -> int:
    """A moment in ISO 8601, with its time zone, as Unix time in milliseconds.

    Raises:
        ValueError: not of this form, or without a time zone; the message says what would be right.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write 2026-12-01T08:00Z or 2026-12-01T08:00+02:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write {text}Z for UTC, or {text}+02:00")
    return int(moment.timestamp() * 1000)


def told(span_s: float) -> str:
    """A span for people, to two units: ``3d 4h``, ``5m 10s``, ``0s``."""
    left_s, parts = round(span_s), []
    for unit in ("d", "h", "m", "s"):
        count, left_s = divmod(left_s, int(_UNIT_S[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
