"""Which spider a queue gets, and how it is set: entry points, exchanges.yaml, --spider."""

import re
import sys
from pathlib import Path

import pytest

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spider import Spider, load_spider
from crawl_consumer.spiders.choosing import spiders_for
from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology_file import Found, load, parse_topology

MODULE = """
from crawl_consumer.spider import Spider

class Front(Spider):
    name = "front"

    class Settings(Spider.Settings):
        sections: tuple[str, ...] = ("politics",)
        at_most: int = 10

    settings: Settings

    def __init__(self):
        self.seen_in_init = self.settings.at_most

class Articles(Spider):
    class Settings(Spider.Settings):
        language: str
"""
EXCHANGES = """
exchanges:
  x: {type: direct}
queues:
  n.front:
    crawl: n
    bindings: [{exchange: x, key: f}]
  n.articles:
    crawl: n
    bindings: [{exchange: x, key: a}]
    spider: {class: 'my_news:Articles', settings: {language: de}}
  m.pages:
    crawl: m
    bindings: [{exchange: x, key: m}]
crawls:
  n:
    exchange: x
    key: a
    spider:
      class: my_news:Front
      settings:
        at_most: 3
  m: {exchange: x, key: m}
"""
ALL = ("n.front", "n.articles", "m.pages")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "my_news.py").write_text(MODULE)
    return tmp_path


def written(folder, old="", new=""):
    """exchanges.yaml with one change, and what it says."""
    file = folder / "exchanges.yaml"
    assert old in EXCHANGES
    file.write_text(EXCHANGES.replace(old, new) if old else EXCHANGES)
    return load(Found(file, "test")), file


def test_exchanges_yaml_says_which_spider_a_queue_gets(folder):
    spiders = spiders_for(ALL, written(folder)[0])
    assert [type(spiders[queue]).__name__ for queue in ALL] == ["Front", "Articles", "Spider"]
    assert spiders["n.front"].settings.model_dump() == {"sections": ("politics",), "at_most": 3}
    assert spiders["n.front"].seen_in_init == 3
    assert spiders["n.articles"].settings.language == "de"


def test_the_command_s_spider_wins_and_keeps_the_settings_that_the_file_has_for_it(folder):
    spiders = spiders_for(ALL, written(folder)[0], named="my_news:Front")
    assert [type(spider).__name__ for spider in spiders.values()] == ["Front"] * 3
    assert [spiders[queue].settings.at_most for queue in ALL] == [3, 3, 10]


def test_queues_of_a_crawl_share_a_spider_and_crawls_do_not(folder):
    topology, _ = written(folder, "    spider: {class: 'my_news:Articles', settings: {language: de}}\n")
    spiders = spiders_for(ALL, topology)
    assert spiders["n.front"] is spiders["n.articles"]
    assert spiders_for(ALL, topology, named="my_news:Front")["m.pages"] is not spiders["n.front"]


def test_two_spiders_of_a_crawl_cannot_wait_for_its_end_under_one_name(folder):
    ending = "(Spider):\n    def on_finish(self, finished): ...\n"
    (folder / "two.py").write_text(f"from crawl_consumer import Spider\nclass One{ending}class Two{ending}")
    text = EXCHANGES.replace("my_news:Front", "two:One").replace("      settings:\n        at_most: 3\n", "")
    articles = "{class: 'my_news:Articles', settings: {language: de}}"
    topology = parse_topology(text.replace(articles, "two:Two"), "test")
    with pytest.raises(SpiderInvalid, match="One and Two of crawl n have the same name, 'pages'"):
        spiders_for(ALL, topology)
    assert len(spiders_for(ALL[:1], topology)) == 1
    alike = spiders_for(ALL, parse_topology(text.replace(articles, "two:One"), "test"))
    assert alike["n.front"] is alike["n.articles"]


def test_module_and_class_alone_will_do(folder):
    topology, _ = written(folder, "{class: 'my_news:Articles', settings: {language: de}}", "my_news:Front")
    assert spiders_for(ALL, topology)["n.articles"].settings.at_most == 10


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_most: 3", "at_most: three", ":22: crawls.n.spider.settings.at_most: must be a valid integer"),
        ("at_most: 3", "atmost: 3", ":22: crawls.n.spider.settings.atmost: unknown key; did you mean 'at_most'?"),
        ("{language: de}", "{}", ":11: queues.n.articles.spider.settings.language: missing; add 'language'"),
        ("my_news:Front", "my_news:Frond", ":20: crawls.n.spider.class: module 'my_news' has no spider 'Frond'"),
        ("my_news:Front", "other", ":20: crawls.n.spider.class: 'other' names no spider"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_line_and_key(folder, old, new, said):
    topology, file = written(folder, old, new)
    with pytest.raises(SpiderInvalid) as caught:
        spiders_for(ALL, topology, file=file)
    assert str(caught.value).startswith(f"{file}{said}")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_several_wrong_settings_are_a_line_each(folder):
    topology, file = written(folder, "at_most: 3", "at_most: x\n        sections: 4")
    with pytest.raises(SpiderInvalid, match=r"at_most.*\n.*sections|sections.*\n.*at_most"):
        spiders_for(ALL, topology, file=file)


def test_unknown_settings_are_never_ignored(folder):
    (folder / "my_news.py").write_text(
        "from pydantic import BaseModel\nfrom crawl_consumer.spider import Spider\n"
        "class Front(Spider):\n class Settings(BaseModel):\n  at_most: int = 1\n"
    )
    with pytest.raises(SpiderInvalid, match="atmost"):
        load_spider("my_news:Front", {"atmost": 2})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("class: my_news:Front", "klass: my_news:Front", "crawls.n.spider.klass: unknown key; did you mean 'class'?"),
        ("      class: my_news:Front\n", "", "crawls.n.spider.class: missing"),
    ],
)
def test_the_file_s_own_mistakes_are_found_without_importing_anything(old, new, said):
    with pytest.raises(TopologyInvalid, match=re.escape(said)):
        parse_topology(EXCHANGES.replace(old, new), "exchanges.yaml")


def test_a_spider_that_a_package_brings_is_found_by_its_name(folder, tmp_path_factory, monkeypatch):
    installed = tmp_path_factory.mktemp("site-packages")
    (installed / "news-1.0.dist-info").mkdir()
    (installed / "news-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: news\nVersion: 1.0\n")
    points = "[crawl.spiders]\nnews = my_news:Front\n"
    (installed / "news-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(installed)
    assert load_spider("news").name == "front"
    with pytest.raises(SpiderInvalid, match="'newz' names no spider") as caught:
        load_spider("newz")
    assert caught.value.remedy.endswith("installed packages bring news")


def test_settings_that_were_not_loaded_are_the_defaults(folder):
    assert load_spider("my_news:Front").settings.at_most == 10
    spider = type(load_spider("my_news:Front"))()
    assert (spider.settings.at_most, Spider().settings.model_dump()) == (10, {})
    with pytest.raises(SpiderInvalid, match=r"settings of my_news:Articles: language: Field required"):
        load_spider("my_news:Articles")


@pytest.mark.parametrize("name", ["''", "'a/b'", "3"])
def test_a_spider_s_name_must_be_one(folder, name):
    (folder / "my_news.py").write_text(f"from crawl_consumer.spider import Spider\nclass A(Spider):\n name = {name}\n")
    with pytest.raises(SpiderInvalid, match=r"A\.name is"):
        load_spider("my_news:A")
    assert Path.cwd() == folder
