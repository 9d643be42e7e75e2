"""A news site on two queues: front pages are followed, articles are kept.

crawl-seed --topology news.yaml --crawl gazette https://gazette.example/
crawl-consumer --topology news.yaml --queue 'gazette.*' --output articles.jsonl
"""

from datetime import date

from pydantic import BaseModel, Field

from crawl_consumer import Finished, Page, Rule, Spider, Yields


class Article(BaseModel):
    """What is kept; a page that lacks a headline becomes a dead letter with the reason."""

    url: str
    headline: str = Field(min_length=1)
    section: str
    published: date
    words: int


class Gazette(Spider):
    """Sections lead to articles; an article names those that it is related to."""

    name = "gazette"
    rules = (Rule(css="nav", route="section"),)

    class Settings(Spider.Settings):
        """Set in news.yaml."""

        shortest_words: int = 0

    settings: Settings

    def parse(self, page: Page) -> Yields:
        """Take the articles of a front page: their teasers know the section, which the articles do not."""
        section = page.css("h1::text").get("front")
        for teaser in page.css("article a"):
            yield page.follow(teaser, to=self.article, route="article", meta={"section": section})

    def article(self, page: Page) -> Yields:
        """Keep an article that is long enough."""
        words = len(page.xpath("string(//main)").get("").split())
        if words >= self.settings.shortest_words:
            yield page.item(
                Article,
                url=page.url,
                headline=page.css("h1::text").get(""),
                section=page.meta["section"],
                published=page.css("time::attr(datetime)").get(),
                words=words,
            )
        for related in page.links(css="aside"):
            yield page.follow(related, to=self.article, route="article", meta=page.meta)

    async def on_finish(self, finished: Finished) -> None:
        """Say how it went, once for all consumers."""
        print(f"{finished.crawl}: {finished.outcomes.get('ok', 0)} of {finished.admitted} pages")
