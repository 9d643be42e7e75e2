"""Follow: a spider's wish that a URL be crawled."""

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
