"""What can go wrong while pages are consumed, by what the caller can do next.

::

    CrawlError                  (crawl_dedup.errors)
    └── ConsumerError
        ├── SpiderInvalid       the spider cannot be loaded: mend its name or its module
        ├── SpiderRaised        the spider's own code failed on one page: dead letter, with the place
        ├── ItemInvalid         an item holds a value that no output can keep: dead letter; mend the spider
        ├── NoPage              a URL that somebody looks at gives no page to work on: see what it gives
        ├── StarterRefused      a new project cannot be written where it was asked for: choose another name
        ├── HostsInvalid        a file of hosts cannot be used: mend the line that is named
        ├── OutputInvalid       the output cannot be used as it was named: mend the option, or install what it needs
        └── OutputFailed        the output cannot be written: stop before anything is acknowledged
"""

from crawl_dedup.errors import CrawlError


class ConsumerError(CrawlError):
    """Something on the way from a delivery to its outcome failed."""


class SpiderInvalid(ConsumerError):
    """No spider can be made from what was asked for; the message says why, the remedy what would be right."""

    exit_code = 13


class SpiderRaised(ConsumerError):
    """The spider's code raised on one page; the message names file and line, the cause is the error."""

    exit_code = 13


class ItemInvalid(ConsumerError):
    """An item does not fit into an output; the message names its key and the value's type."""

    exit_code = 13


class NoPage(ConsumerError):
    """A URL gives no page: robots.txt forbids it, there was no answer, or it is an error; the message says which."""

    exit_code = 18


class StarterRefused(ConsumerError):
    """A new project will not do: its name, or the folder, which holds something already."""

    exit_code = 2


class HostsInvalid(ConsumerError):
    """The file of ``--hosts`` cannot be used; the message names the line."""

    exit_code = 2


class OutputInvalid(ConsumerError):
    """What ``--output`` names is no output, or needs a package that is not installed."""

    exit_code = 2


class OutputFailed(ConsumerError):
    """Items could not be made safe: disk full, input/output error, no permission."""

    exit_code = 12
