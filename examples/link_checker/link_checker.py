"""Keeps every link of a site with the page that holds it; report.py says which are broken.

crawl-consumer --queue links.pages --spider link_checker:LinkChecker --until-done
"""

import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import BaseModel

from crawl_consumer.page import Follow, Page
from crawl_consumer.spider import Failure, Spider

log = logging.getLogger("link_checker")


class Link(BaseModel):
    """A link; the class names the table: ``link``."""

    page: str
    target: str


class LinkChecker(Spider):
    """Looks at all links, and goes on from the site's own pages only."""

    name = "link-checker"

    def on_fetched(self, page: Page) -> None:
        """Say at once what is gone; report.py names every page that links to it, and this one the first."""
        if page.status in {404, 410}:
            log.warning("broken: %s (%d), linked from %s", page.url, page.status, page.parent)

    def on_failure(self, failure: Failure) -> None:
        """Say at once what failed for good: no such host, no answer in time, an error of the server's."""
        log.warning("broken: %s (%s), linked from %s", failure.url, failure.reason, failure.parent)

    def parse(self, page: Page) -> Iterator[Link | Follow]:
        """Take one page apart."""
        if page.parent and _host(page.parent) != _host(page.url):  # another site's: it is there, which is enough
            return
        for target in page.links():
            yield Link(page=page.url, target=target)
            yield page.follow(target)


def _host(url: str) -> str | None:
    return urlsplit(url).hostname
