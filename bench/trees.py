"""A spider that wants of every page what the default one does, and its tree besides."""

from crawl_consumer.page import Page
from crawl_consumer.spider import Spider, Yields


class Trees(Spider):
    def parse(self, page: Page) -> Yields:
        page.css("h1")
        return super().parse(page)
