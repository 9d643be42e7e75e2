"""A site without end, crawled by commands on real servers: it ends, all of it is counted, and its rules stay."""

import json

import pytest

from dictionary_site import dictionary_site
from e2e_kit import Commands

LIMIT = 300


class Endless:
    """Every path has the same page, which leads to three deeper ones behind session ids."""

    def get(self, path, default):
        if path == "/robots.txt":
            return default
        return "".join(f'<a href="{letter}/?PHPSESSID=8f14e45fceea167a5a36">deeper</a>' for letter in "abc")


@pytest.fixture
def commands(environment, tmp_path):
    commands = Commands(environment, tmp_path)
    yield commands
    commands.stop()


def write(commands, **canonical):
    scope = {"max_pages_per_host": LIMIT, "unique_content": {"of_last": 20, "min_share": 0.2}}
    topology = {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {"docs.pages": {"crawl": "docs", "bindings": [{"exchange": "x", "key": "page"}]}},
        "crawls": {"docs": {"exchange": "x", "key": "page", "scope": scope, "canonical": canonical}},
    }
    (commands.folder / "exchanges.yaml").write_text(json.dumps(topology))


def test_an_endless_site_ends_and_is_in_the_books(commands):
    write(commands, drop_session_ids=True)
    commands.run("crawl-topology", "apply")
    with dictionary_site(Endless()) as site:
        commands.run("crawl-seed", "--crawl", "docs", f"{site.home}?PHPSESSID=1")
        commands.run("crawl-consumer", "--queue", "docs.*", "--until-done", "--quiet", "--concurrency", "4")
        fetched = [path for path in site.asked if path != "/robots.txt"]
    told = commands.status()
    assert told["state"] == "complete"
    assert not any("PHPSESSID" in path for path in fetched)
    assert 20 <= len(fetched) == told["outcomes"]["ok"] <= 30
    assert told["outcomes"]["trap"] == told["admitted"] - len(fetched)
    assert told["admitted"] <= LIMIT

    write(commands, drop_session_ids=True, sort_query=True)
    said = commands.run("crawl-seed", "--crawl", "docs", f"{site.home}late", code=8)
    assert "1+session_ids.1, not 1+session_ids.1+sorted" in said
    assert "crawl-forget docs" in said
