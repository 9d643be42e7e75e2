"""What the documents say of traps and canonical URLs, against the program: settings, defaults and reasons."""

import re
from pathlib import Path

import pytest
import yaml

from crawl_dedup.session_ids import ALWAYS, ASP_PREFIX, LONG_CHARS, WITH_LONG_VALUES
from crawl_producer.topology import CrawlSpec, ScopeSpec, UniqueContentSpec
from crawl_producer.topology_canonical import CanonicalSpec

ROOT = Path(__file__).resolve().parents[2]


def section(title):
    text = (ROOT / "docs" / "security.md").read_text()
    return re.split(r"^## ", text.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def crawls(title):
    return [crawl for block in re.findall(r"```yaml\n(.*?)```", section(title), re.DOTALL)
            for crawl in yaml.safe_load(block)["crawls"].values()]  # fmt: skip


def test_every_limit_is_documented_with_its_default():
    scope = crawls("Traps")[0]["scope"]
    assert ScopeSpec.model_validate(scope) == ScopeSpec()
    rules = {"hosts", "any_host", "subdomains", "allow", "deny", "ports"}
    assert set(scope) == set(ScopeSpec.model_fields) - rules
    said = yaml.safe_load(re.search(r"true: (\{min_share.*?\})", section("Traps"))[1])
    assert UniqueContentSpec.model_validate(said) == UniqueContentSpec()


def test_every_rule_is_documented():
    (crawl,) = crawls("Canonical URLs")
    assert set(crawl["canonical"]) == set(CanonicalSpec.model_fields)


@pytest.mark.parametrize("title", ["Traps", "Canonical URLs"])
def test_the_examples_are_valid(title):
    for crawl in crawls(title):
        CrawlSpec.model_validate({"exchange": "x"} | crawl)


def test_every_reason_for_which_a_url_stays_outside_is_documented():
    folder = ROOT / "producer" / "crawl_producer"
    code = "".join((folder / name).read_text() for name in ("scope.py", "trap_shapes.py"))
    reasons = set(re.findall(r'return "(\w+)"', code))
    reasons |= set(re.findall(r"'filtered:(\w+)'", (ROOT / "dedup/crawl_dedup/ledger.lua").read_text()))
    reasons |= set(re.findall(r'"filtered:(\w+)"', (ROOT / "consumer/crawl_consumer/harvest.py").read_text()))
    assert {"same_segment", "session_id", "max_pages_per_host", "max_links_per_page", "deny"} <= reasons
    text = (ROOT / "docs" / "security.md").read_text()
    assert [reason for reason in reasons if not re.search(rf"`(?:filtered:)?{reason}`", text)] == []


def test_what_counts_as_a_session_id_is_documented():
    text = section("Traps").lower()
    assert [name for name in (*ALWAYS, *WITH_LONG_VALUES, ASP_PREFIX) if f"`{name}" not in text] == []
    assert f"{LONG_CHARS} letters and digits or more" in text
