"""A page taken apart on the workbench: as a crawl would, with a word on each link."""

import asyncio

import pytest
from pydantic import BaseModel

from crawl_consumer.errors import ItemInvalid, NoPage, SpiderRaised
from crawl_consumer.page import Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.spider import Spider
from crawl_consumer.workbench.dissection import Dissection, saved_page, spider_at
from crawl_consumer.workbench.looking import message_for
from crawl_consumer.workbench.rules import CRAWL, Rules, default_topology
from crawl_producer.errors import RouteInvalid
from crawl_producer.topology import Topology
from small_world import HOME

NEWS = {
    "exchanges": {"x": {"type": "topic"}, "y": {"type": "fanout"}},
    "queues": {
        "front": {"crawl": "news", "bindings": [{"exchange": "x", "key": "front"}]},
        "articles": {"crawl": "news", "bindings": [{"exchange": "x", "key": "article.#"}]},
        "archive": {"crawl": "news", "bindings": [{"exchange": "y"}]},
    },
    "crawls": {
        "news": {
            "exchange": "x",
            "key": "article.other",
            "routes": [{"match": "/front$", "key": "front"}, {"match": r"/20\d\d/", "key": "", "exchange": "y"}],
            "scope": {"max_depth": 3, "deny": ["/login"]},
        }
    },
}


def page(body, *, url=HOME, depth=0, **headers):
    message = message_for("c", url, depth=depth)
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    response = Response(url=url, status=200, headers=fields, body=body.encode(), content_type="text/html")
    return Page(response, message), message


def taken_apart(body, *, spider=None, rules=None, **page_fields):
    dissection = Dissection(spider or Spider(), rules or Rules(CRAWL, default_topology()))
    return asyncio.run(dissection.of(*page(body, **page_fields)))


def test_items_are_as_an_output_would_write_them():
    (item,) = taken_apart("<title>Home</title>")["items"]
    assert (item["title"], item["url"]) == ("Home", HOME)
    assert "_key" not in item


def test_without_a_file_the_scope_is_the_pages_host():
    told = taken_apart('<a href="/a"></a><a href="https://elsewhere.example/"></a><a href="mailto:me@here"></a>')
    assert told["links"] == [
        {"url": f"{HOME}a", "in_scope": True, "exchange": "crawl.trial", "key": "page", "queues": ["trial.pages"]},
        {"url": "https://elsewhere.example/", "in_scope": False, "reason": "host"},
    ]
    assert told["no_urls"] == {"scheme": 1}


def test_each_link_is_told_where_the_crawls_routes_would_send_it():
    rules = Rules("news", Topology.model_validate(NEWS))
    told = taken_apart("".join(f'<a href="/{to}"></a>' for to in ("front", "2026/x", "z", "login")), rules=rules)
    assert [(link.get("queues"), link.get("reason")) for link in told["links"]] == [
        (["front"], None), (["archive"], None), (["articles"], None), (None, "deny"),
    ]  # fmt: skip


def test_a_page_may_be_taken_for_one_that_is_further_away():
    rules = Rules("news", Topology.model_validate(NEWS))
    (link,) = taken_apart('<a href="/z"></a>', rules=rules, depth=3)["links"]
    assert link["reason"] == "depth"


def test_what_the_page_asks_not_to_be_followed_and_kept_says_so():
    told = taken_apart('<a href="/a"></a>', x_robots_tag="noindex, nofollow")
    assert (told["items"], told["items_not_kept"]) == ([], {"noindex": 1})
    assert told["links"] == [{"url": f"{HOME}a", "in_scope": False, "reason": "nofollow"}]
    links = taken_apart('<a href="/a" rel="nofollow"></a><a href="/b"></a>')["links"]
    assert [link.get("reason") for link in links] == ["rel_nofollow", None]


def test_what_a_link_carries_and_which_items_are_invalid_is_told():
    class Price(BaseModel):
        euro: int

    class Shop(Spider):
        def parse(self, page):
            yield page.item(Price, euro="much")
            yield page.item(Price, euro=3)
            yield page.follow("/a", to="article", route=("y", ""), priority=2, meta={"n": 1})

        def article(self, page):
            """Not called."""

    told = taken_apart("", spider=Shop(), rules=Rules("news", Topology.model_validate(NEWS)))
    assert (told["items"], [wrong["number"] for wrong in told["items_invalid"]]) == ([{"euro": 3}], [0])
    assert "euro" in told["items_invalid"][0]["error"]
    (link,) = told["links"]
    assert (link["exchange"], link["queues"], link["to"], link["priority"], link["meta"]) == (
        "y", ["archive"], "article", 2, {"n": 1},
    )  # fmt: skip


def test_a_route_that_leads_nowhere_is_told_as_a_crawl_would():
    spider = type("Lost", (Spider,), {"parse": lambda _, page: [page.follow("/a", route="nobody")]})
    with pytest.raises(RouteInvalid, match="comes to no queue"):
        taken_apart("", spider=spider(), rules=Rules("news", Topology.model_validate(NEWS)))


def test_the_spider_is_that_of_the_queue_which_the_url_would_be_sent_to():
    queues = {name: {**queue, "spider": f"{__name__}:{name.title()}"} for name, queue in NEWS["queues"].items()}
    rules = Rules("news", Topology.model_validate({**NEWS, "queues": queues}))
    found = [type(spider_at(f"{HOME}{path}", rules)) for path in ("front", "2026/x", "z")]
    assert found == [Front, Archive, Articles]
    assert type(spider_at(f"{HOME}z", rules, named=f"{__name__}:Front")) is Front


class Front(Spider):
    """Of front pages."""


class Articles(Spider):
    """Of articles."""


class Archive(Spider):
    """Of old articles."""


def test_the_spiders_faults_are_the_spiders():
    class Raises(Spider):
        def parse(self, page):
            raise KeyError("price")

    class Unfit(Spider):
        def parse(self, page):
            yield {"x": object()}

    with pytest.raises(SpiderRaised, match=r"test_dissection.py.*price"):
        taken_apart("", spider=Raises())
    with pytest.raises(ItemInvalid):
        taken_apart("", spider=Unfit())


def test_a_saved_page_is_as_if_it_had_come_from_its_url(tmp_path):
    (tmp_path / "a.html").write_text('<title>Ä</title><a href="b">b</a>')
    (tmp_path / "a.json").write_text('{"price": 3}')
    page, message = saved_page(tmp_path / "a.html", f"{HOME}x/a", "c", depth=1)
    assert (page.title, page.links(), page.depth, message.root) == ("Ä", [f"{HOME}x/b"], 1, "site.example")
    assert saved_page(tmp_path / "a.json", HOME, "c")[0].json() == {"price": 3}
    with pytest.raises(NoPage, match="No such file"):
        saved_page(tmp_path / "b.html", HOME, "c")
