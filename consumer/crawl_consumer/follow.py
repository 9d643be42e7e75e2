"""Follow: a spider's wish that a URL be crawled, or several."""

from collections.abc import Sequence
from typing import NamedTuple

from crawl_producer.errand import Errand


class Follow(NamedTuple):
    """A spider's wish that this URL be crawled.

    Attributes:
        url: it may be relative to the page that it is yielded for.
        errand: what goes with it; :meth:`crawl_consumer.page.Page.follow` makes one.
    """

    url: str
    errand: Errand | None = None


class FollowAll(NamedTuple):
    """A spider's wish that all of these be crawled: as many :class:`Follow`, for less of a page's time.

    Attributes:
        urls: each may be relative to the page that it is yielded for.
        errand: what goes with every one; :meth:`crawl_consumer.page.Page.follow_all` makes it.
    """

    urls: Sequence[str]
    errand: Errand | None = None
