"""The table of docs/conformance.md says what the suites say today: no case fewer passes, and none more."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

import standards

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "conformance.md").read_text()


def of_urls():
    return [standards.url_case(*case) for case in standards.url_cases()]


#: Published suites: their row, their file, and their cases.
PUBLISHED = {
    "URL parsing": (standards.URLS, of_urls),
    "Host names (domain to ASCII)": (standards.HOSTS, standards.host_cases),
    "Character encoding, 1": (standards.ENCODINGS[0], lambda: standards.encoding_cases(standards.ENCODINGS[0])),
    "Character encoding, 2": (standards.ENCODINGS[1], lambda: standards.encoding_cases(standards.ENCODINGS[1])),
}
#: Tables of our own: their row and where they are. What they hold passes, or this run of the tests fails.
OWN = {
    "robots.txt": "test_robots_conformance.py",
    "Character encoding, own table": "test_charset.py",
    "Sitemaps and feeds": "test_sitemap_reading.py",
}
AT_HAND = [name for name, (file, _) in PUBLISHED.items() if file.exists()]


def rows():
    """Suite → source, cases and passed, as documented."""
    found = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [^|]+? \| (\d+) \| (\d+) \|", TEXT, re.MULTILINE)
    return {name: (source, int(cases), int(passed)) for name, source, cases, passed in found}


def deviations():
    """The cases that are listed as not passing."""
    block = TEXT.split("\n## Deviations")[1]
    return {
        line for lines in re.findall(r"^```text\n(.*?)^```", block, re.MULTILINE | re.DOTALL) for line in lines.split()
    }


def own_cases(file):
    """How many cases a module of tests holds, each set of parameters counted as one."""
    spec = importlib.util.spec_from_file_location(f"counted_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return sum(_cases_of(value) for name, value in vars(module).items() if name.startswith("test_"))


def _cases_of(function):
    cases = 1
    for mark in getattr(function, "pytestmark", ()):
        if mark.name == "parametrize":
            cases *= len(mark.args[1])
    return cases


def test_every_suite_has_a_row_and_every_row_a_suite():
    assert set(rows()) == {*PUBLISHED, *OWN}


def test_what_does_not_pass_is_listed_and_nothing_else():
    missing = sum(cases - passed for _, cases, passed in rows().values())
    assert missing == len(deviations())
    failing = {case.name.strip("'") for name in AT_HAND for case in PUBLISHED[name][1]() if not case.passes}
    assert failing <= deviations()
    assert failing == deviations() or len(AT_HAND) < len(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_figures_of_a_published_suite_are_those_of_its_file(name):
    file, cases = PUBLISHED[name]
    source, documented, passed = rows()[name]
    assert file.name in source
    assert 0 < passed <= documented
    if name in AT_HAND:  # elsewhere there is nothing to count
        assert standards.sha256(file)[:12] in source, "another version of the suite: count anew"
        found = cases()
        assert (len(found), sum(case.passes for case in found)) == (documented, passed)


@pytest.mark.parametrize("name", OWN)
def test_the_figures_of_a_table_of_our_own_are_what_it_holds(name):
    source, documented, passed = rows()[name]
    assert OWN[name] in source
    assert own_cases(Path(__file__).parent / OWN[name]) == documented == passed


def test_how_urls_are_compared_is_documented_with_figures():
    said = [int(number) for number in re.findall(r"\*\*(\d+)\*\*", TEXT.split("\n## URLs")[1].split("\n## ")[0])]
    urls, cut, refused, other_schemes = said
    assert urls + refused + other_schemes == rows()["URL parsing"][1]
    if "URL parsing" in AT_HAND:
        kinds = Counter(case.kind for case in of_urls())
        assert kinds == {"url": urls, "refused": refused, "scheme": other_schemes}
        hrefs = [href for _, _, href in standards.url_cases() if href and href.startswith(("http://", "https://"))]
        assert _cut(hrefs) == cut


def _cut(hrefs):
    """How many have a fragment or a login."""
    return sum("#" in href or "@" in href.split("/")[2] for href in hrefs)
