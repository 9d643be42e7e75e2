"""An index of a documentation site: every page's title and text, in SQLite, where search.py finds them.

crawl-consumer --queue 'docs.*' --spider docs_index:DocsIndex --output sqlite:///docs.db --until-done
python search.py docs.db 'quorum queue'
"""

from collections.abc import Iterator

from pydantic import BaseModel

from crawl_consumer.page import Follow, Page
from crawl_consumer.spider import Spider


class Document(BaseModel):
    """What there is to find of a page; the class names the table: ``document``."""

    url: str
    title: str
    text: str


class DocsIndex(Spider):
    """Keeps what a page says and follows its links."""

    name = "docs-index"

    def parse(self, page: Page) -> Iterator[Document | Follow]:
        """Take one page apart."""
        if page.is_html:
            yield Document(url=page.url, title=page.title or page.url, text=page.text)
        for url in page.links():
            yield page.follow(url)
