"""The workbench's commands as processes, on a web server of their own."""

import json
import signal
import subprocess
import sys
from itertools import pairwise

import pytest

from dictionary_site import dictionary_site
from e2e_kit import wait_until
from workbench_kit import PATIENCE_S, ran, start

PAGES = {
    "/": '<title>Home</title><a href="/a">a</a><a href="/moved">m</a><a href="https://elsewhere.example/">e</a>',
    "/a": '<title>A</title><a href="/">home</a><a href="/b">b</a>',
    "/b": "<title>B</title>",
    "/moved": (301, {"Location": "/b"}, ""),
}


@pytest.fixture
def site():
    with dictionary_site(dict(PAGES)) as site:
        yield site


@pytest.fixture
def home(site):
    return site.home


def test_crawl_fetch_follows_a_redirect_and_tells_of_both(home, tmp_path):
    out, _ = ran("fetch", "--json", home + "moved", folder=tmp_path)
    assert [look["status"] for look in json.loads(out)] == [301, 200]


def test_crawl_fetch_writes_the_body_and_nothing_else(home, tmp_path):
    out, err = ran("fetch", "--body", home, folder=tmp_path)
    assert out.startswith("<title>Home</title>")
    assert "status     200 OK" in err


def test_crawl_fetch_ends_with_a_code_of_its_own_where_there_is_no_page(home, tmp_path):
    out, _ = ran("fetch", home + "missing", folder=tmp_path, code=18)
    assert "http_404" in out


HERE = "127.0.0.1 is not a public address; allow_networks: [127.0.0.0/8] in exchanges.yaml lets the crawl go there"


@pytest.mark.parametrize("tool", ["fetch", "parse", "shell"])
def test_a_tool_says_how_to_look_at_a_site_that_is_not_public(tool, site, tmp_path):
    out, err = ran(tool, site.home, folder=tmp_path, code=18, CRAWL_ALLOW_NETWORKS="")
    assert HERE in out + err
    assert "--allow-network" in out + err
    assert site.asked == []


@pytest.mark.parametrize("tool", ["fetch", "parse"])
def test_a_tool_looks_at_a_site_that_is_not_public_when_it_is_told_to(tool, site, tmp_path):
    ran(tool, site.home, "--allow-network", "127.0.0.0/8", folder=tmp_path, CRAWL_ALLOW_NETWORKS="")
    assert site.asked == ["/robots.txt", "/"]


def test_crawl_try_goes_to_a_site_that_is_not_public_only_when_it_is_told_to(site, tmp_path):
    _, err = ran("trial", site.home, folder=tmp_path, CRAWL_ALLOW_NETWORKS="")
    assert (HERE in err, "outcomes: blocked 1" in err, "--allow-network" in err, site.asked) == (True, True, True, [])
    options = ("--allow-network", "10.0.0.0/8", "--allow-network", "127.0.0.1")
    _, err = ran("trial", site.home, *options, folder=tmp_path, CRAWL_ALLOW_NETWORKS="")
    assert "outcomes: ok 3, redirect 1" in err


def test_a_network_that_is_none_is_refused(site, tmp_path):
    _, err = ran("fetch", site.home, "--allow-network", "127.0.0.1/8", folder=tmp_path, code=2)
    assert "write 127.0.0.0/8" in err


def test_crawl_fetch_says_what_is_wrong_with_a_url(tmp_path):
    _, err = ran("fetch", "example.org", folder=tmp_path, code=2)
    assert "write it with http://" in err


def test_a_tool_must_be_told_which_of_several_crawls_rules_it_works_by(home, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(
        "exchanges: {x: {type: fanout}, y: {type: fanout}}\n"
        "queues: {q: {crawl: c, bindings: [{exchange: x}]}, r: {crawl: d, bindings: [{exchange: y}]}}\n"
        "crawls: {c: {exchange: x}, d: {exchange: y, user_agent: 'Mine/1 (+https://example.org/)'}}\n"
    )
    _, err = ran("fetch", home, folder=tmp_path, code=9)
    assert "name one of c, d" in err
    ran("fetch", "--crawl", "d", home, folder=tmp_path)


SPIDER = """\
from crawl_consumer.spider import Spider

class Titles(Spider):
    def parse(self, page):
        yield {"title": page.css("title::text").get()}
        for url in page.links():
            yield page.follow(url)

class Broken(Spider):
    def parse(self, page):
        return page.nothing

class Sections(Spider):
    def article(self, page):
        yield {"title": page.title, "section": page.meta["section"]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "spiders.py").write_text(SPIDER)
    return tmp_path


def test_crawl_parse_tells_items_and_links_of_a_page_with_a_spider_of_ones_own(home, folder):
    out, _ = ran("parse", home, "--spider", "spiders:Titles", folder=folder)
    told = json.loads(out)
    assert told["items"] == [{"title": "Home"}]
    assert [link.get("reason") for link in told["links"]] == [None, None, "host"]


def test_crawl_parse_reads_a_saved_page_without_asking_anybody(site, folder):
    (folder / "saved.html").write_text(PAGES["/a"])
    out, _ = ran("parse", site.home, "--file", "saved.html", "--spider", "spiders:Titles", folder=folder)
    assert json.loads(out)["items"] == [{"title": "A"}]
    assert site.asked == []


def test_crawl_parse_gives_a_page_what_its_link_would_have_carried(site, folder):
    (folder / "saved.html").write_text(PAGES["/a"])
    asked = ("parse", site.home, "--file", "saved.html", "--spider", "spiders:Sections", "--to", "article")
    out, _ = ran(*asked, "--meta", '{"section": "politics"}', folder=folder)
    assert json.loads(out)["items"] == [{"title": "A", "section": "politics"}]
    for wrong, said in (("[]", "no object"), ("{", "line 1"), (json.dumps({"a": "x" * 1024}), "1032 bytes")):
        _, err = ran(*asked, "--meta", wrong, folder=folder, code=2)
        assert said in " ".join(err.split())
    _, err = ran(*asked[:-1], "_article", folder=folder, code=2)
    assert "to: String should match" in " ".join(err.split())


def test_crawl_parse_tells_a_title_and_not_the_terminal_what_to_do(site, folder):
    title = "a\x9b2Jb\u202ec\U000e0041d größer"
    (folder / "saved.html").write_text(f"<meta charset=utf-8><title>{title}</title>", encoding="utf-8")
    out, _ = ran("parse", site.home, "--file", "saved.html", "--spider", "spiders:Titles", folder=folder)
    assert out.replace("\n", "").isprintable()
    assert "größer" in out
    (item,) = json.loads(out)["items"]
    assert item["title"].endswith("b\u202ec\U000e0041d größer")


def test_crawl_parse_names_the_line_of_a_spider_that_raised(home, folder):
    _, err = ran("parse", home, "--spider", "spiders:Broken", folder=folder, code=13)
    assert "spiders.py:11" in err
    assert "Traceback" not in err


def test_crawl_parse_gives_an_error_to_no_spider(home, folder):
    _, err = ran("parse", home + "missing", folder=folder, code=18)
    assert "http_404" in err


def test_crawl_try_crawls_with_a_spider_of_ones_own_and_no_server_at_all(home, folder):
    out, err = ran("trial", home, "--spider", "spiders:Titles", folder=folder)
    assert {json.loads(line)["title"] for line in out.splitlines()} == {"Home", "A", "B"}
    assert "complete: 4 fetched" in err


def test_crawl_try_writes_files_and_its_summary_as_json(home, folder):
    out, _ = ran("trial", home, "--output", "items.jsonl", "--max-pages", 2, "--json", "--quiet", folder=folder)
    assert json.loads(out)["admitted"] == 2
    assert len((folder / "items.jsonl").read_text().splitlines()) == 2


def test_crawl_try_works_by_the_rules_of_a_crawl_in_exchanges_yaml(home, folder):
    (folder / "exchanges.yaml").write_text(
        "exchanges: {x: {type: fanout}}\nqueues: {q: {crawl: c, bindings: [{exchange: x}]}}\n"
        "crawls: {c: {exchange: x, scope: {deny: ['/a$']}}}\n"
    )
    out, _ = ran("trial", home, "--quiet", folder=folder)
    assert {json.loads(line)["url"] for line in out.splitlines()} == {home, home + "b"}


def test_crawl_try_ends_with_a_code_of_its_own_when_what_is_left_would_have_to_wait(site, folder):
    site.pages["/robots.txt"] = (500, {}, "")
    _, err = ran("trial", site.home, "--quiet", folder=folder, code=14)
    assert "robots.txt: http_500" in err


def test_ctrl_c_ends_crawl_try_with_its_items_and_its_summary(site, folder):
    site.pages |= {f"/n/{n}": f'<a href="/n/{n + 1}">on</a>' for n in range(5000)}
    trial = start(
        "trial", f"{site.home}n/0", "--max-pages", 0, "-o", "items.jsonl", folder=folder, CRAWL_DELAY_S="0.05"
    )
    try:
        wait_until(lambda: len(site.asked) > 3, "some pages")
        trial.send_signal(signal.SIGINT)
        _, err = trial.communicate(timeout=PATIENCE_S)
    finally:
        trial.kill()
        trial.communicate()
    assert trial.returncode == 0, err
    assert "not complete, 1 left" in err
    items = [json.loads(line)["url"] for line in (folder / "items.jsonl").read_text().splitlines()]
    assert items == [f"{site.home}n/{n}" for n in range(len(items))]
    assert len(items) >= 2


def test_a_new_projects_own_test_passes_and_crawl_try_works_in_it(home, tmp_path):
    out, _ = ran("new", "my-shop", "--url", home, folder=tmp_path)
    assert f"crawl-try {home} --spider spiders:MyShopSpider" in out
    project = tmp_path / "my-shop"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert "2 passed" in tested.stdout, tested.stdout + tested.stderr
    out, _ = ran("trial", home, "--spider", "spiders:MyShopSpider", "--quiet", folder=project)
    assert {json.loads(line)["title"] for line in out.splitlines()} == {"Home", "A", "B"}


def test_a_new_project_goes_nowhere_where_something_is(tmp_path):
    ran("new", "shop", folder=tmp_path)
    _, err = ran("new", "shop", folder=tmp_path, code=2)
    assert "shop is not empty" in err


def test_crawl_shell_prints_the_value_of_an_expression_for_scripts(home, tmp_path):
    out, _ = ran("shell", home, "-c", "page.links()", folder=tmp_path)
    assert out.splitlines() == [f"{home}a", f"{home}moved", "https://elsewhere.example/"]
    out, _ = ran("shell", home, "-c", f"fetch('{home}moved').title", folder=tmp_path)
    assert out == "B\n"
    out, _ = ran("shell", home + "missing", "-c", "page.status", folder=tmp_path)
    assert out == "404\n"


def test_crawl_shell_is_a_prompt_with_the_page(home, tmp_path):
    out, _ = ran("shell", home, folder=tmp_path, stdin="print(page.title)\nfetch(page.links()[0]).title\n")
    assert "Home" in out
    assert "'A'" in out


def test_crawl_shell_is_ipythons_prompt_where_there_is_one(home, tmp_path):
    (tmp_path / "IPython.py").write_text(
        "def start_ipython(argv, user_ns):\n    print(f'IPython with {user_ns[\"page\"].title}')\n"
    )
    out, _ = ran("shell", home, folder=tmp_path)
    assert "IPython with Home" in out


def test_crawl_shell_keeps_the_crawls_delay_between_its_own_requests(site, tmp_path):
    ran("shell", site.home, "-c", "fetch(page.url).title", folder=tmp_path, CRAWL_DELAY_S="0.5")
    assert site.asked == ["/robots.txt", "/", "/"]
    assert all(later - before >= 0.5 for before, later in pairwise(site.at))


def test_crawl_shell_says_why_there_is_no_page(site, tmp_path):
    site.pages["/robots.txt"] = "user-agent: *\ndisallow: /"
    _, err = ran("shell", site.home, folder=tmp_path, code=18)
    assert "robots_denied" in err


def test_crawl_shell_says_what_its_expression_raised(home, tmp_path):
    _, err = ran("shell", home, "-c", "page.nothing", folder=tmp_path, code=1)
    assert "no attribute 'nothing'" in err


def test_a_crawl_from_the_cache_asks_nobody_and_waits_for_nobody(site, folder):
    ran("trial", site.home, "--cache", "cache", "--quiet", "-o", "first.jsonl", folder=folder)
    asked = len(site.asked)
    out, _ = ran(
        "trial", site.home, "--cache", "cache", "--quiet", "-o", "second.jsonl", "--json",
        folder=folder, CRAWL_DELAY_S="3600",
    )  # fmt: skip
    assert json.loads(out)["complete"]
    assert len(site.asked) == asked
    first, second = ((folder / name).read_text().splitlines() for name in ("first.jsonl", "second.jsonl"))
    fetched = [{json.loads(line)["url"]: json.loads(line)["time"] for line in lines} for lines in (first, second)]
    assert fetched[0] == fetched[1]
    ran("parse", site.home, "--cache", "cache", folder=folder)
    ran("shell", site.home, "--cache", "cache", "-c", "page.title", folder=folder)
    assert len(site.asked) == asked
