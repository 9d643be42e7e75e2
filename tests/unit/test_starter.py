"""A new project: complete, valid, and never over something that is there."""

import shlex

import pytest

from crawl_consumer.errors import StarterRefused
from crawl_consumer.workbench.starter import spider_name, write_project
from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology_file import Found, load

URL = "https://shop.example/"


def test_a_project_has_all_that_one_needs(tmp_path):
    written = write_project("my-shop", tmp_path / "new", URL)
    assert sorted(str(path.relative_to(tmp_path / "new")) for path in written) == [
        "README.md",
        "exchanges.yaml",
        "saved/page.html",
        "spiders.py",
        "test_spiders.py",
    ]
    topology = load(Found(tmp_path / "new" / "exchanges.yaml", "test"))
    assert list(topology.crawls) == ["my-shop"]
    assert "$" not in "".join(path.read_text() for path in written)


def test_the_commands_of_its_readme_stand_in_a_shell_whatever_the_url(tmp_path):
    url = "https://shop.example/?a=1&b='x'$HOME"
    write_project("shop", tmp_path / "new", url)
    commands = [
        shlex.split(line) for line in (tmp_path / "new" / "README.md").read_text().splitlines() if url[:20] in line
    ]
    assert [words[:2] for words in commands] == [
        [name, url] for name in ("crawl-fetch", "crawl-parse", "crawl-try", "crawl-seed")
    ]


@pytest.mark.parametrize(("name", "spider"), [("shop", "ShopSpider"), ("my_old-shop2", "MyOldShop2Spider")])
def test_the_spiders_name_comes_from_the_crawls(name, spider):
    assert spider_name(name) == spider


@pytest.mark.parametrize("name", ["", "Shop", "2shop", "../shop", "shop/x", "a b", "a$b", "x" * 41])
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(StarterRefused, match="no name"):
        write_project(name, tmp_path / "new", URL)
    assert not list(tmp_path.iterdir())


def test_a_name_of_the_plumbing_is_refused(tmp_path):
    with pytest.raises(TopologyInvalid, match="reserved"):
        write_project("dead", tmp_path / "new", URL)
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path):
    (tmp_path / "spiders.py").write_text("mine")
    with pytest.raises(StarterRefused, match="not empty"):
        write_project("shop", tmp_path, URL)
    with pytest.raises(StarterRefused, match=r"spiders.py"):
        write_project("shop", tmp_path / "spiders.py", URL)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_will_do(tmp_path):
    assert write_project("shop", tmp_path, URL)
