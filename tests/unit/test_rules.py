"""Rules: links are followed, and pages parsed, without code."""

import asyncio

import pytest

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.page import Page
from crawl_consumer.response import Response
from crawl_consumer.spider import Rule, Spider, run
from crawl_consumer.spiders.checking import check
from crawl_producer.message import UrlMessage
from small_world import HOME, World, html

BODY = b"<nav><a href=/politics/>p</a></nav><a href=/2026/a>a</a><a href=/2026/print>n</a><a href=/about>x</a>"


def follows(*rules, to=None, **attributes):
    """What a spider with these rules follows on the page: path → the method."""
    methods = {"article": lambda _, page: [], "section": lambda _, page: []}
    spider = type("Made", (Spider,), {"rules": rules, **methods, **attributes})()
    check(spider)
    response = Response(url=HOME, status=200, body=BODY, content_type="text/html")
    parsed = asyncio.run(run(spider, Page(response, UrlMessage(crawl="c", url=HOME, to=to))))
    errands = {url: errand.to for url, errand in parsed.errands.items()}
    return {url.removeprefix(HOME): errands.get(url) for url in parsed.follows}


def test_a_link_belongs_to_the_first_rule_that_takes_it_and_others_are_not_followed():
    rules = (
        Rule(css="nav"),
        Rule(allow=r"/20\d\d/", deny="print$", to="article"),
        Rule(allow="politics|print", to="section"),
    )
    assert follows(*rules) == {"politics/": None, "2026/a": "article", "2026/print": "section"}


def test_a_rule_s_method_may_be_the_function_itself():
    def article(self, page): ...

    assert follows(Rule(allow="2026/a", to=article), article=article) == {"2026/a": "article"}


@pytest.mark.parametrize(
    ("rule", "to", "applied"),
    [
        (Rule(), None, True),
        (Rule(follow=False), None, False),
        (Rule(to="article"), "article", False),
        (Rule(to="article"), None, True),
        (Rule(to="article", follow=True), "article", True),
        (Rule(to="article", follow=True), "section", False),
    ],
)
def test_rules_are_applied_to_pages_of_parse_and_where_a_rule_says_follow(rule, to, applied):
    assert bool(follows(rule, to=to)) == applied


def test_code_and_rules_go_together():
    def parse(self, page):
        yield page.follow("/2026/a", to="section")

    assert follows(Rule(allow="2026", to="article"), parse=parse) == {"2026/a": "section", "2026/print": "article"}


@pytest.mark.parametrize("wrong", [{"allow": "("}, {"deny": ["ok", "["]}, {"to": "_x"}, {"priority": 99}])
def test_a_rule_that_cannot_be_read_says_why(wrong):
    with pytest.raises(ValueError, match="a Rule cannot be read: "):
        Rule(**wrong)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([Rule(to="artikel")], "names no method: 'artikel'"),
        (["2026"], "rules has '2026'"),
        ([Rule(to="article", follow=True), Rule(to="article")], "do not agree whether pages of 'article'"),
        ([Rule(), Rule(follow=False)], "do not agree whether pages of 'parse'"),
    ],
)
def test_rules_that_do_not_fit_the_spider_are_found_when_it_is_loaded(rules, said):
    with pytest.raises(SpiderInvalid, match=said):
        follows(*rules)


def test_a_spider_of_rules_alone_crawls_a_site():
    class Site(Spider):
        rules = (Rule(allow="/section/"), Rule(allow="/article/", to="record"))

    pages = {
        HOME: html("/section/1", "/about"),
        HOME + "section/1": html("/article/1", "/section/2"),
        HOME + "section/2": html("/article/2"),
        HOME + "article/1": html("/article/3", title="one"),
        HOME + "article/2": html(title="two"),
    }

    async def main():
        async with World(pages) as world:
            await world.seed(HOME)
            await world.crawl(spider=Site())
            assert sorted(world.web.fetched) == sorted(pages)
            return sorted(record["title"] for record in world.sink.records)

    assert asyncio.run(main()) == ["one", "two"]
