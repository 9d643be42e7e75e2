"""One input tried: what it raised, or that it took too long."""

import time
import traceback
from dataclasses import dataclass

from crawl_dev.fuzz.target import Target

#: Seconds of the processor that one input may take. Readers are called in the event loop, where nothing else goes on
#: meanwhile; what is longer than our inputs is kept from them.
MAX_CPU_S = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one input.

    Attributes:
        kind: tells findings apart: the exception and where it was raised, or ``slow``.
        detail: what people are told.
    """

    kind: str
    detail: str


def tried(target: Target, data: bytes, *, max_cpu_s: float = MAX_CPU_S) -> Finding | None:
    """What is wrong with these bytes; None: nothing."""
    begun_s = time.thread_time()
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 - each of them is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        if isinstance(error, AssertionError):  # the text tells which of them
            where = str(error)[:60]
        return Finding(f"{type(error).__name__} {where}", f"{type(error).__name__}: {error!s:.300} ({where})")
    spent_s = time.thread_time() - begun_s
    return Finding("slow", f"{spent_s:.1f} s of the processor") if spent_s > max_cpu_s else None
