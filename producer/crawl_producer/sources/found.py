"""What a sitemap or feed says, entry by entry, before anybody has judged it."""

from dataclasses import dataclass

#: Characters of a bad entry that are kept to be shown.
SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A page, or another sitemap.

    Attributes:
        url: as it is written there.
        base: the URL that it is relative to; empty: it must be absolute.
        is_sitemap: it is a list to read, and no page.
        modified_ms: Unix time before which it was changed last; None: nobody says.
    """

    url: str
    base: str = ""
    is_sitemap: bool = False
    modified_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """An entry, or the rest of the list, that cannot be read; ``reason`` is a word to count by."""

    text: str
    reason: str


class NotAListing(Exception):
    """What was fetched is no sitemap and no feed; the message is a word to count by. Stays within this package."""
