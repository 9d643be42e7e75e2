"""A crawl with Scrapy, in memory or, with Redis, as scrapy-redis: a spider that follows every link of the site.

The settings are those that Scrapy's pages on broad crawls and on asyncio advise where speed is wanted and the site is
one's own. ``scrapy_crawl.py URL CONNECTIONS``, and ``BENCH_REDIS_URL`` makes it scrapy-redis.
"""

import os
import sys
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse
from scrapy.linkextractors import LinkExtractor

SETTINGS = {
    "ROBOTSTXT_OBEY": False,
    "DOWNLOAD_DELAY": 0,
    "COOKIES_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "LOG_LEVEL": "ERROR",
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
}
#: As in the README of scrapy-redis; its queue is a sorted set and its memory a set, as there.
REDIS_SETTINGS = {
    "SCHEDULER": "scrapy_redis.scheduler.Scheduler",
    "DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter",
}


class Site(Spider):
    name = "site"

    def __init__(self, url):
        super().__init__()
        self.start_urls = [url]
        # By default it leaves out what looks like no page; everybody else here fetches that too.
        self.links = LinkExtractor(allow_domains=[urlsplit(url).netloc], tags=["a"], deny_extensions=[])

    def parse(self, response):
        if isinstance(response, HtmlResponse):
            for link in self.links.extract_links(response):
                yield Request(link.url)


def main(url, connections):
    settings = SETTINGS | {
        "CONCURRENT_REQUESTS": connections,
        "CONCURRENT_REQUESTS_PER_DOMAIN": connections,
    }
    redis_url = os.environ.get("BENCH_REDIS_URL")
    if redis_url:
        settings |= REDIS_SETTINGS | {"REDIS_URL": redis_url}
    settings["USER_AGENT"] = "scrapy-redis" if redis_url else "scrapy"
    process = CrawlerProcess(settings)
    process.crawl(Site, url=url)
    process.start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
