"""How an oracle complains: one sentence about all that it found."""

from collections.abc import Iterator, Sequence

#: Examples in a complaint.
_SHOWN = 3


def some(what: str, them: Sequence[str]) -> Iterator[str]:
    """One complaint about all of them, if there are any."""
    if them:
        more = f" and {len(them) - _SHOWN} more" if len(them) > _SHOWN else ""
        yield f"{len(them)} {what}: {'; '.join(them[:_SHOWN])}{more}"
