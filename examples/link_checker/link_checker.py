"""Keeps every link of a site with the page that holds it; report.py says which are broken.

crawl-consumer --queue links.pages --spider link_checker:LinkChecker --until-done
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import BaseModel

from crawl_consumer.page import Follow, Page
from crawl_consumer.spider import Spider


class Link(BaseModel):
    """A link; the class names the table: ``link``."""

    page: str
    target: str


class LinkChecker(Spider):
    """Looks at all links, and goes on from the site's own pages only."""

    name = "link-checker"

    def parse(self, page: Page) -> Iterator[Link | Follow]:
        """Take one page apart."""
        if page.parent and _host(page.parent) != _host(page.url):  # another site's: it is there, which is enough
            return
        for target in page.links():
            yield Link(page=page.url, target=target)
            yield page.follow(target)


def _host(url: str) -> str | None:
    return urlsplit(url).hostname
