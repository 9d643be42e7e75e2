"""The documents against the program: every option, exit code and file that they name is there, and none is missing."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from crawl_consumer import Page, Spider
from crawl_consumer.cli import consumer
from crawl_consumer.testing import page_from, run_spider
from crawl_producer.cli import dead, doctor, forget, seed, status, topology
from crawl_producer.command import ExitCode
from crawl_producer.topology import RobotsSpec
from crawl_producer.topology_file import parse_topology

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "crawl-seed": seed.app,
    "crawl-topology": topology.app,
    "crawl-status": status.app,
    "crawl-dead": dead.app,
    "crawl-doctor": doctor.app,
    "crawl-forget": forget.app,
    "crawl-consumer": consumer.app,
}


def section(text, title):
    return re.split(r"^## ", text.split(f"\n## {title}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def options(app):
    command = typer.main.get_command(app)
    for one in getattr(command, "commands", {"": command}).values():
        for parameter in one.params:
            if not getattr(parameter, "hidden", False):
                yield from (name for name in parameter.opts if name.startswith("-"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_documented(name):
    text = (ROOT / "docs" / "commands.md").read_text()
    common = text.split("\n## ", 1)[0]
    written = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", common + section(text, name)))
    assert set(options(COMMANDS[name])) <= written | {"--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_runnable_examples(name):
    command = typer.main.get_command(COMMANDS[name])
    for one in getattr(command, "commands", {"": command}).values():
        assert one.help
        assert f"  {name}" in one.epilog


def test_every_exit_code_is_documented():
    table = section((ROOT / "docs" / "commands.md").read_text(), "Exit codes")
    assert {
        int(code) for code in re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)))
    } == {int(code) for code in ExitCode}


def test_the_changelog_tells_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


DOCUMENTS = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_the_documents_lead_somewhere(document):
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{document} links to {target}"


def test_every_setting_for_robots_is_documented_with_its_default():
    text = (ROOT / "docs" / "robots.md").read_text()
    crawl = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["crawls"]["shop"]
    assert RobotsSpec.model_validate(crawl["robots"] | {"product_token": None}) == RobotsSpec()
    assert set(crawl["robots"]) == set(RobotsSpec.model_fields)


def test_the_code_about_spiders_runs_and_its_tests_pass():
    text = (ROOT / "docs" / "spiders.md").read_text()
    names = {"__name__": "documented"}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(block, names)
    for spider in [kind for kind in names.values() if isinstance(kind, type) and issubclass(kind, Spider)]:
        run_spider(spider, page_from("<a href=/a>a</a>"), elsewhere={"article"})
    tests = [test for name, test in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_topology_about_spiders_is_one():
    text = (ROOT / "docs" / "spiders.md").read_text()
    topology = parse_topology(re.search(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1], "spiders.md")
    assert topology.crawls["news"].spider.settings == {"at_most": 20}
    assert topology.queues["news.articles"].spider.class_name == "my_spiders:Articles"


def test_what_a_spider_can_have_and_say_is_documented():
    text = (ROOT / "docs" / "spiders.md").read_text()
    said = [name for name in vars(Spider) if name.startswith("on_") or name.endswith("_middlewares")]
    said += [name for what in (Page.follow, Page.links) for name in inspect.signature(what).parameters]
    assert [name for name in said if not re.search(rf"\b{name}\b", text)] == []


def test_every_file_that_the_design_names_exists():
    text = (ROOT / "docs" / "design.md").read_text()
    named = set(re.findall(r"`((?:crawl_\w+/)?[\w/]+\.(?:py|lua))`", text))
    sources = {
        str(p.relative_to(ROOT))
        for root in map(ROOT.joinpath, ("dedup", "producer", "consumer", "tests"))
        for p in root.rglob("*.*")
    } | {str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*.py")}
    missing = {name for name in named if not any(source == name or source.endswith("/" + name) for source in sources)}
    assert not missing
