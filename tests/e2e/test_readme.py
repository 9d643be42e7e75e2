"""The README as a stranger would try it: its tour on real servers, its spider and its topology."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from crawl_dev.site import StaticSite
from crawl_producer.topology_file import parse_topology
from e2e_kit import Commands, wait_until

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site():
    with StaticSite(ROOT / "examples" / "site") as site:
        yield site


@pytest.fixture
def commands(environment, tmp_path):
    commands = Commands(environment, tmp_path)
    yield commands
    print(commands.stop())


def tour():
    """The tour's commands, each with the output that the README shows."""
    steps = re.split(r"^\$ ", blocks("console")[0], flags=re.MULTILINE)[1:]
    return [
        tuple(step.rstrip("\n").split("\n", 1)) if "\n" in step.rstrip("\n") else (step.strip(), "") for step in steps
    ]


def without_figures(text):
    """Times and rates differ from run to run; so does the port."""
    text = re.sub(r"\(1 URLs.*\)", "(…)", text)
    return re.sub(r"127\.0\.0\.1:\d+", "SITE", text).strip()


def until_rabbitmqctl_shows(shown, rabbit, vhost):
    """A quorum queue tells rabbitmqctl its counts every five seconds."""
    columns = ("name", "messages_ready", "messages_unacknowledged")

    def lines():
        return ["\t".join(str(queue[c]) for c in columns) for queue in rabbit.list_queues(*columns, vhost=vhost)]

    wait_until(lambda: shown in lines(), shown)


def test_the_tour_shows_what_really_comes(commands, site, rabbit, fresh_vhost):
    for command, shown in tour():
        words = command.replace("http://127.0.0.1:8000/", site.url)
        if command.startswith("rabbitmqctl"):
            until_rabbitmqctl_shows(shown, rabbit, fresh_vhost)
            continue
        if command.startswith("head"):
            records = {
                record["url"]: line
                for line in (commands.folder / "pages.jsonl").read_text().splitlines()
                for record in [yaml.safe_load(line)]
            }
            said = records[site.url]
        else:
            said = commands.shell(words)
        assert without_figures(said).startswith(without_figures(shown.removesuffix("..."))), command


def test_the_spider_works(commands, site):
    (commands.folder / "titles.py").write_text(blocks("python")[0])
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", site.url)
    (command,) = [block for block in blocks("sh") if "titles:Titles" in block]
    commands.run(*command.replace("'", "").split(), "--until-done")
    lines = [yaml.safe_load(line) for line in (commands.folder / "titles.jsonl").read_text().splitlines()]
    assert len({line.pop("_key") for line in lines}) == len(lines)
    assert {"url": site.url, "title": "A small site to crawl"} in lines
    assert len(lines) == 7


def test_the_example_spider_works(commands, site):
    shutil.copy(ROOT / "examples" / "headings.py", commands.folder)
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", site.url)
    commands.run(
        "crawl-consumer", "--queue", "docs.*", "--spider", "headings:Headings", "--output", "h.jsonl", "--until-done"
    )
    lines = [yaml.safe_load(line) for line in (commands.folder / "h.jsonl").read_text().splitlines()]
    assert all(line.pop("_key") for line in lines)
    assert {"url": site.url, "level": 1, "text": "A small site to crawl"} in lines


def test_its_topologies_are_valid():
    shop, cluster = blocks("yaml")
    parse_topology(shop, Path("README.md"))
    parse_topology(shop + cluster, Path("README.md"))
