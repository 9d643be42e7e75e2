"""When an output's file is full, as people write it: ``100MB``, ``1GiB``, ``1h``, ``30m``."""

import re
from dataclasses import dataclass

from crawl_producer import durations

_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(k|M|G|Ki|Mi|Gi)?B", re.IGNORECASE)
_UNIT_BYTES = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "KI": 1024, "MI": 1024**2, "GI": 1024**3}


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full.

    Attributes:
        bytes: as large as this, at least, on disk; None: of any size.
        seconds: as old as this when the next group comes; None: of any age.
    """

    bytes: int | None = None
    seconds: float | None = None


def read_rotation(text: str) -> Rotation:
    """A rotation as people write it.

    Raises:
        ValueError: it is neither a size nor a time; the message says what would be.
    """
    if match := _SIZE.fullmatch(text):
        return Rotation(bytes=int(float(match[1]) * _UNIT_BYTES[(match[2] or "").upper()]))
    try:
        return Rotation(seconds=durations.seconds(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither a size nor a time; write 100MB or 1h") from None
