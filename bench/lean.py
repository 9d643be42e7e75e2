"""The lean loop: one process that fetches, parses and follows as cheaply as Python can, and keeps nothing.

It is the ceiling for a consumer: the same loop, HTTP client, parser and URL library, without queue, ledger, robots.txt,
limits, retries or records. Whatever it has in hand is lost when it dies. ``lean.py URL [connections]``.
"""

import asyncio
import sys

import ada_url
import aiohttp
import uvloop
from lxml import etree
from yarl import URL

PARSER = etree.HTMLParser(remove_comments=True, remove_pis=True)


def links(base: str, body: bytes) -> set[str]:
    """The distinct URLs that a page links to, without fragments."""
    tree = etree.fromstring(body, PARSER)
    hrefs = {href.partition("#")[0] for a in tree.iter("a") if (href := a.get("href"))} - {""}
    return {ada_url.join_url(base, href) for href in hrefs}


async def crawl(start: str, connections: int) -> None:
    host = start.split("/", 3)[2]
    seen, waiting = {start}, asyncio.Queue[str]()
    waiting.put_nowait(start)

    def follow(urls: set[str]) -> None:
        for url in urls - seen:
            if url.startswith("http") and url.split("/", 3)[2] == host:
                seen.add(url)
                waiting.put_nowait(url)

    async def work(session: aiohttp.ClientSession) -> None:
        while True:
            url = await waiting.get()
            async with session.get(URL(url, encoded=True), allow_redirects=False) as answer:
                body = await answer.read()
                if "location" in answer.headers:
                    follow({ada_url.join_url(url, answer.headers["location"])})
                elif answer.content_type == "text/html":
                    follow(links(url, body))
            waiting.task_done()

    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections), cookie_jar=aiohttp.DummyCookieJar()
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        workers = [group.create_task(work(session)) for _ in range(connections)]
        await waiting.join()
        for worker in workers:
            worker.cancel()


if __name__ == "__main__":
    uvloop.run(crawl(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 32))
