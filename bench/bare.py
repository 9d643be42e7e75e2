"""The bare loop: what one writes in an hour with aiohttp and lxml. One process, nothing durable.

Every link is joined and looked up as it stands on the page. ``bare.py URL [connections]``.
"""

import asyncio
import sys
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp
import lxml.html
import uvloop
from yarl import URL


def links(base: str, body: bytes) -> list[str]:
    """The URLs that a page links to, without fragments, as often as it does."""
    tree = lxml.html.document_fromstring(body)
    return [urldefrag(urljoin(base, href))[0] for href in tree.xpath("//a/@href")]


async def crawl(start: str, connections: int) -> None:
    host = urlsplit(start).netloc
    seen, waiting = {start}, asyncio.Queue[str]()
    waiting.put_nowait(start)

    def follow(urls: list[str]) -> None:
        for url in urls:
            if url not in seen and urlsplit(url).netloc == host:
                seen.add(url)
                waiting.put_nowait(url)

    async def work(session: aiohttp.ClientSession) -> None:
        while True:
            url = await waiting.get()
            async with session.get(URL(url, encoded=True), allow_redirects=False) as answer:
                body = await answer.read()
                if "location" in answer.headers:
                    follow([urljoin(url, answer.headers["location"])])
                elif answer.content_type == "text/html":
                    follow(links(url, body))
            waiting.task_done()

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session,
        asyncio.TaskGroup() as group,
    ):
        workers = [group.create_task(work(session)) for _ in range(connections)]
        await waiting.join()
        for worker in workers:
            worker.cancel()


if __name__ == "__main__":
    uvloop.run(crawl(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 32))
