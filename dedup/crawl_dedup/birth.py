"""The mark of a memory's birth: tells a ledger from the one before it was forgotten, and says when it was begun."""

import secrets
import time

_RANDOM_BYTES = 8


def mark() -> str:
    """The mark of a memory that begins now, by this machine's clock; no two are the same."""
    return f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(_RANDOM_BYTES)}"


def born_ms(born: str) -> int:
    """When a memory with this mark was begun: Unix time, milliseconds."""
    return int(born.partition("-")[0], 16)
