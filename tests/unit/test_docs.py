"""The documents against the program: every option, exit code and file that they name is there, and none is missing."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from crawl_consumer import Page, Spider
from crawl_consumer.cli import consumer, fetch, new, parse, shell, trial
from crawl_consumer.testing import page_from, run_spider
from crawl_producer.cli import dead, doctor, forget, items, seed, status, topology
from crawl_producer.command import ExitCode
from crawl_producer.errand import Errand
from crawl_producer.own_routes import Reach
from crawl_producer.sources.written import read as read_written
from crawl_producer.special_addresses import RANGES
from crawl_producer.topology import Connection, CrawlSpec, LimitsSpec, RobotsSpec, Topology
from crawl_producer.topology_file import parse_topology

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "crawl-seed": seed.app,
    "crawl-topology": topology.app,
    "crawl-status": status.app,
    "crawl-dead": dead.app,
    "crawl-doctor": doctor.app,
    "crawl-forget": forget.app,
    "crawl-items": items.app,
    "crawl-consumer": consumer.app,
    "crawl-try": trial.app,
    "crawl-fetch": fetch.app,
    "crawl-parse": parse.app,
    "crawl-shell": shell.app,
    "crawl-new": new.app,
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


def test_every_command_is_held_to_its_documents():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(COMMANDS) == set(scripts)


def test_the_documented_hosts_are_valid():
    text = section((ROOT / "docs" / "commands.md").read_text(), "crawl-consumer")
    crawl = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["crawls"]["intranet"]
    assert set(CrawlSpec.model_validate(crawl).hosts) == set(crawl["hosts"])


def test_every_range_that_is_refused_is_documented_and_the_example_is_valid():
    text = (ROOT / "docs" / "security.md").read_text()
    refused = re.findall(r"^\| IPv[46] \| .*", text, re.MULTILINE)
    assert set(re.findall(r"`([0-9a-f.:]+/\d+)`", " ".join(refused))) == set(RANGES)
    crawl = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["crawls"]["intranet"]
    assert len(CrawlSpec.model_validate(crawl).allow_networks) == 2


def test_the_changelog_tells_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


DOCUMENTS = ["README.md", "SECURITY.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


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


def test_every_limit_of_a_crawl_is_documented_with_its_default():
    text = (ROOT / "docs" / "security.md").read_text().split("## What one page may cost")[1]
    limits = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["crawls"]["docs"]["limits"]
    assert LimitsSpec.model_validate(limits) == LimitsSpec()
    assert set(limits) == set(LimitsSpec.model_fields)


def test_the_examples_for_sources_are_commands_that_there_are():
    text = (ROOT / "docs" / "sources.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert {line.split()[0] for line in lines} == {"crawl-seed", "crawl-topology"}
    for line in lines:
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line)) <= set(options(COMMANDS[line.split()[0]])), line


def test_the_inbox_and_the_message_of_the_documents_are_right():
    text = (ROOT / "docs" / "sources.md").read_text()
    example = (ROOT / "exchanges.yaml").read_text() + re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    assert Topology.model_validate(yaml.safe_load(example)).inboxes["news.inbox"].crawl == "news"
    message = re.search(r"```json\n(.*?)```", text, re.DOTALL)[1]
    seed = read_written(1, message.encode(), "")
    assert (seed.url, seed.errand.to, seed.errand.meta) == (
        "https://example.org/2026/a", "article", '{"section":"politics"}',
    )  # fmt: skip
    Reach(parse_topology((ROOT / "exchanges.yaml").read_text(), ""), "news", "main").check([seed.errand])


def test_every_reason_for_which_a_list_or_entry_is_rejected_is_documented():
    text = (ROOT / "docs" / "sources.md").read_text()
    documented = set(re.findall(r"`(\w+)`", text))
    folder = ROOT / "producer" / "crawl_producer" / "sources"
    said = re.compile(
        r'(?:NotAListing|UrlInvalid|_Answer)\("(\w+)"|Damaged\([^\n]*"(\w+)"\)|return "([a-z_]+)"$', re.MULTILINE
    )
    reasons = {
        word for file in folder.glob("*.py") for found in said.findall(file.read_text()) for word in found if word
    }
    assert {"cut_short", "html", "method", "too_deep", "timeout"} <= reasons
    assert reasons | set(Errand._fields) <= documented


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


MIGRATING = (ROOT / "docs" / "migrating.md").read_text()


def migrating(language):
    return re.findall(rf"^```{language}\n(.*?)^```", MIGRATING, re.MULTILINE | re.DOTALL)


def test_what_is_shown_of_moving_here_is_that_of_the_examples():
    examples = [path.read_text() for path in (ROOT / "examples").glob("from_*/*")]
    ours = [block for block in migrating("python") if not re.search("scrapy_redis|celery", block)]
    for block in [*ours, *migrating("yaml")]:
        assert any(block in example for example in examples), block
    assert (len(ours), len(migrating("python")), len(migrating("yaml"))) == (2, 5, 2)


def test_what_is_shown_of_elsewhere_is_python():
    for block in migrating("python"):
        compile(block, "migrating.md", "exec")


def test_the_commands_and_the_message_of_moving_here_are_right():
    for line in "".join(migrating("sh")).splitlines():
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line)) <= set(options(COMMANDS[line.split()[0]])), line
    (message,) = migrating("json")
    seed = read_written(1, message.encode(), "")
    topology = parse_topology((ROOT / "examples" / "from_celery" / "exchanges.yaml").read_text(), "")
    Reach(topology, "paper", *topology.groups("paper")).check([seed.errand])


def test_settings_of_ours_that_moving_here_names_are_there():
    sections = {
        "connection": Connection,
        **{n: CrawlSpec.model_fields[n].annotation for n in ("politeness", "retry", "robots", "scope")},
    }
    named = re.findall(r"`(connection|politeness|retry|robots|scope)\.(\w+)`", MIGRATING)
    assert len(named) > 15
    assert [f"{of}.{name}" for of, name in named if name not in sections[of].model_fields] == []
    for name, default in re.findall(r"`(?:\w+\.)?(\w+)` \(([\d.]+)[,)]", MIGRATING):
        (of,) = [spec for spec in sections.values() if name in spec.model_fields]
        assert of.model_fields[name].default == float(default), name


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


def test_the_python_in_the_document_of_outputs_is_that_of_the_examples():
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "outputs.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    assert blocks
    for block in blocks:
        assert any(block in example for example in examples), block


def test_the_yaml_in_the_document_of_outputs_is_valid():
    text = (ROOT / "docs" / "outputs.md").read_text()
    where, readers = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    for name, of in where["queues"].items():
        of |= {"crawl": "news", "bindings": [{"exchange": "crawl.news", "key": name}]}
    where["crawls"]["news"] |= {"exchange": "crawl.news", "key": "news.front"}
    whole = {"exchanges": {"crawl.news": {"type": "direct"}}, **where, **readers}
    parse_topology(yaml.safe_dump(whole), "outputs.md")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("exchanges.yaml")), ids=lambda path: path.parent.name)
def test_the_topologies_of_the_examples_are_valid(path):
    parse_topology(path.read_text(), str(path))
