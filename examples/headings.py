"""A spider of one's own: the headings of every page, instead of the default record.

crawl-consumer --queue 'docs.*' --spider headings:Headings --output headings.jsonl
"""

from collections.abc import Iterator

from pydantic import BaseModel

from crawl_consumer.page import Follow, Page
from crawl_consumer.spider import Spider


class Heading(BaseModel):
    """One heading; a pydantic model, a dataclass or a dict may be yielded."""

    url: str
    level: int
    text: str


class Headings(Spider):
    """Yields items to keep and links to follow, as they come."""

    name = "headings"

    def parse(self, page: Page) -> Iterator[Heading | Follow]:
        """Take one page apart."""
        for element in page.css("h1, h2"):
            text = " ".join(element.xpath("string()").get("").split())
            yield Heading(url=page.url, level=int(element.root.tag[1]), text=text)
        for url in page.links():
            yield page.follow(url)
