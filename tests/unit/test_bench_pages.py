"""How the benchmarks measure a run from outside, and where their tables and charts go."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import machine
import pytest
import scale
from chart import Bar, svg
from compare import PACKAGES, REQUIREMENTS
from measured import copies, cpu_s, run
from scale_memory import growth, slope, small_site
from tables import DOCUMENT, placed, table
from verdicts import Spread

from crawl_dev.site import SiteRequest


class LoggedSite:
    """A site whose log has one line before a run, and these after it."""

    def __init__(self, *after):
        self._logs = [[SiteRequest("GET", "/before", 200, "somebody", 1.0)]]
        self._logs.append(self._logs[0] + [SiteRequest("GET", path, 200, "me", at_s) for path, at_s in after])

    def request_log(self):
        return self._logs.pop(0)


def test_a_run_is_read_from_what_the_site_has_logged_since():
    site = LoggedSite(("/robots.txt", 9.0), ("/b", 10.5), ("/a", 10.0), ("/a", 12.0))
    done = run([sys.executable, "-c", "sum(range(10**6))"], site)
    assert (done.paths, done.requests, done.seconds) == ({"/a", "/b"}, 3, 2.0)
    assert done.pages_per_s == 1.0
    assert 0 < done.cpu_s < 10


def test_a_contender_that_fails_ends_the_run():
    with pytest.raises(SystemExit, match="ended with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"], LoggedSite())


def test_a_process_that_has_ended_meanwhile_costs_nothing():
    assert cpu_s(2**22 + 1) == 0.0


def test_copies_lie_below_one_start_page(tmp_path):
    (tmp_path / "index.html").write_text("the site")
    with copies(tmp_path, 3) as folder:
        links = re.findall(r'href="([^"]+)"', (folder / "index.html").read_text())
        assert [(folder / link).read_text() for link in links] == ["the site"] * 3


def test_every_small_page_is_linked_from_another():
    with small_site() as folder:
        pages = {path.name: set(re.findall(r'href="([^"]+)"', path.read_text())) for path in folder.iterdir()}
    found, waiting = {"index.html"}, ["index.html"]
    while waiting:
        new = pages[waiting.pop()] - found
        found |= new
        waiting += new
    assert found == set(pages)


def test_growth_is_what_the_second_half_adds_for_each_100_000_pages():
    ended_s = [float(n) for n in range(1000)]
    samples = [(float(at_s), (100 + min(at_s, 400) * 5 + at_s // 100) * 2**20) for at_s in range(0, 1001, 100)]
    assert slope(growth(samples, ended_s)) == pytest.approx(100_000 / 100, rel=0.01)


def test_a_table_is_markdown_with_figures_to_the_right():
    assert table(["who", "rate"], [["we", 3]]) == "| who | rate |\n| --- | ---: |\n| we | 3 |"


def test_a_part_of_the_document_is_replaced_and_nothing_else():
    document = "before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter \\1\n"
    once = placed(document, "x", "new \\1\n")
    assert once == "before\n<!-- x: begin -->\n\nnew \\1\n\n<!-- x: end -->\nafter \\1\n"
    assert placed(once, "x", "new \\1") == once


@pytest.mark.parametrize("document", ["", 2 * "<!-- x: begin -->\n<!-- x: end -->\n"])
def test_a_document_must_have_the_part_once(document):
    with pytest.raises(ValueError, match="parts called x"):
        placed(document, "x", "new")


@pytest.mark.parametrize("name", ["compare", "scale-machine", *(f"scale-{part}" for part in scale.PARTS)])
def test_the_document_has_a_place_for_every_result(name):
    assert "new figures" in placed(DOCUMENT.read_text(), name, "new figures")


def test_the_chart_is_svg_with_a_bar_for_each():
    bars = [Bar("we & ours", Spread(400, 390, 420), ours=True), Bar("they", Spread(100, 90, 110))]
    tree = ET.fromstring(svg("Pages <a second>", bars))
    rows = tree.findall("{http://www.w3.org/2000/svg}rect")
    assert [row.get("class") for row in rows] == ["ours", "theirs"]
    assert float(rows[0].get("width")) == pytest.approx(4 * float(rows[1].get("width")), rel=0.01)
    assert "we & ours" in [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_the_other_crawlers_are_pinned():
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert all("==" in line for line in lines)
    assert machine.pinned(REQUIREMENTS, PACKAGES).startswith("celery ")
    assert (Path(REQUIREMENTS).parent / "peers").is_dir()
