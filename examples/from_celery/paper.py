"""Two tasks that have moved here from Celery; docs/migrating.md shows what they were there.

crawl-seed https://paper.example/
crawl-consumer --queue 'paper.*'
"""

from pydantic import BaseModel, Field

from crawl_consumer import Page, Spider, Yields


class Article(BaseModel):
    """The class names the table: ``article``."""

    url: str
    headline: str = Field(min_length=1)
    section: str


class Fronts(Spider):
    """For the queue paper.fronts: what was the task ``front``."""

    name = "fronts"

    def parse(self, page: Page) -> Yields:
        """Send the articles of a front page to their own queue, with what only this page knows."""
        section = page.css("h1::text").get("")
        for teaser in page.css("article a"):
            yield page.follow(teaser, route="article", meta={"section": section})


class Articles(Spider):
    """For the queue paper.articles: what was the task ``article``."""

    name = "articles"

    def parse(self, page: Page) -> Yields:
        """Keep an article; one without a headline becomes a dead letter."""
        yield page.item(
            Article,
            url=page.url,
            headline=page.css("h1::text").get(""),
            section=page.meta["section"],
        )
