"""What to do with a page: a Spider says, its items and follows are collected here.

A spider is a class in the user's own folder::

    from crawl_consumer.spider import Spider

    class Headlines(Spider):
        name = "headlines"

        def parse(self, page):
            yield {"url": page.url, "headline": page.css("h1::text").get()}
            for url in page.links():
                yield page.follow(url)

This module is the door; the rooms are in :mod:`crawl_consumer.spiders`.
"""

from crawl_consumer.spiders.base import Pages, Spider
from crawl_consumer.spiders.hooks import Failure, Finished
from crawl_consumer.spiders.items import Draft, Invalid, Item, Made, Yields
from crawl_consumer.spiders.loading import load_spider
from crawl_consumer.spiders.middlewares import Drop, Refuse, Request
from crawl_consumer.spiders.rules import Rule
from crawl_consumer.spiders.running import Parsed, lack, run

__all__ = [
    "Draft",
    "Drop",
    "Failure",
    "Finished",
    "Invalid",
    "Item",
    "Made",
    "Pages",
    "Parsed",
    "Refuse",
    "Request",
    "Rule",
    "Spider",
    "Yields",
    "lack",
    "load_spider",
    "run",
]
