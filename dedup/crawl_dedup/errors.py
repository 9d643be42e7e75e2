"""What can go wrong, by what the caller can do next.

::

    CrawlError                  root of every error of ours: a sentence, a remedy, an exit code
    └── DedupError
        ├── UrlInvalid          the text is no http(s) URL: reject it, with the reason
        ├── LedgerUnavailable   Redis does not answer: wait, or stop and be restarted
        ├── LedgerRefused       Redis answers but must not be used: wrong password, too old, evicts keys
        ├── CrawlMismatch       this crawl was begun under other rules: join with the same, or forget it
        └── LedgerForgot        the ledger is not the one that we remember: begin the URL again
"""

from typing import ClassVar


class CrawlError(Exception):
    """An error with a way out.

    Args:
        message: what happened and where, in one line, without secrets.
        remedy: what the reader can do about it, in one line.
    """

    #: What a command exits with when this error ends it (docs/commands.md lists them all).
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class DedupError(CrawlError):
    """The crawl's memory could not do what was asked."""


class UrlInvalid(DedupError):
    """The text is no URL that can be crawled; the message is the reason, short enough to count by."""

    exit_code = 2


class LedgerUnavailable(DedupError):
    """Redis did not answer, even after retries. Nothing is lost: what was not acknowledged comes again."""

    exit_code = 6


class LedgerRefused(DedupError):
    """Redis answered, but using it would lose URLs or is not allowed."""

    exit_code = 7


class CrawlMismatch(DedupError):
    """The crawl was begun with another hash key or canonicaliser; joining it would crawl everything twice."""

    exit_code = 8


class LedgerForgot(DedupError):
    """The crawl was forgotten, or Redis emptied, since this process learned what it relies on; nothing was done."""

    exit_code = 6
