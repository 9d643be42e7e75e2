"""A spider that has moved here from scrapy-redis; docs/migrating.md shows what it was there.

crawl-seed --redis-key shop:start_urls --follow
crawl-consumer --queue 'shop.*'
"""

from crawl_consumer import Page, Spider, Yields


class Shop(Spider):
    """Categories lead to products, and to their next pages."""

    name = "shop"

    def parse(self, page: Page) -> Yields:
        """Take a page of a category."""
        for product in page.css("a.product"):
            yield page.follow(product, to=self.product, meta=page.meta)
        for following in page.css("a.next"):
            yield page.follow(following, meta=page.meta)

    def product(self, page: Page) -> Yields:
        """Keep a product; its category was written beside the start URL."""
        yield {
            "url": page.url,
            "name": page.css("h1::text").get(),
            "price": page.css(".price::text").get(),
            "category": page.meta.get("category"),
        }
