"""A crawl with crawlee-python's ParselCrawler, in memory: every link of the site is enqueued.

What it does for unfriendly sites is switched off: sessions, retries of blocked pages.
``crawlee_crawl.py URL CONNECTIONS``.
"""

import logging
import sys

import uvloop
from crawlee import ConcurrencySettings
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext
from crawlee.http_clients import ImpitHttpClient
from crawlee.storage_clients import MemoryStorageClient


async def main(url: str, connections: int) -> None:
    crawler = ParselCrawler(
        storage_client=MemoryStorageClient(),
        http_client=ImpitHttpClient(persist_cookies_per_session=False, browser=None, headers={"User-Agent": "crawlee"}),
        concurrency_settings=ConcurrencySettings(
            min_concurrency=connections, desired_concurrency=connections, max_concurrency=connections
        ),
        use_session_pool=False,
        retry_on_blocked=False,
        respect_robots_txt_file=False,
        configure_logging=False,
    )

    @crawler.router.default_handler
    async def handler(context: ParselCrawlingContext) -> None:
        await context.enqueue_links(strategy="same-hostname")

    await crawler.run([url])


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
