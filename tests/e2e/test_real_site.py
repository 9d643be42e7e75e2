"""The main job on a real site: Debian's Python manual through nginx, complete, in good and in bad hours."""

import os
import signal
from collections import Counter
from pathlib import Path
from urllib.parse import urljoin

import pytest
import yaml

from crawl_consumer import parser
from crawl_consumer.tags import in_tree
from crawl_consumer.tame import is_tame
from crawl_dev.site import StaticSite, python_docs_root
from e2e_kit import Commands, reference_walk, wait_until

ROOT = Path(__file__).resolve().parents[2]
#: Deliveries that one consumer of these tests works on at once: what a kill may cause to be fetched again.
CONCURRENCY = 4

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def docs():
    root = python_docs_root()
    assert root is not None, "the Python manual is not installed: make servers"
    with StaticSite(root) as site:
        yield site


@pytest.fixture(scope="module")
def reference(docs):
    return reference_walk(docs.url)


@pytest.fixture
def requests(docs, reference):
    """The URLs that the site was asked for since the test began, robots.txt left out."""
    before = len(docs.request_log())
    return lambda: [urljoin(docs.url, path) for path in docs.requests()[before:] if path != "/robots.txt"]


@pytest.fixture
def commands(environment, tmp_path):
    commands = Commands(environment, tmp_path)
    yield commands
    print(commands.stop())


def test_every_page_of_a_real_site_is_parsed_at_once():
    pages = list(python_docs_root().rglob("*.html"))
    assert len(pages) > 400
    assert [page.name for page in pages if not is_tame(page.read_bytes())] == []


def test_every_page_of_a_real_site_says_the_same_skimmed_and_parsed():
    for path in python_docs_root().rglob("*.html"):
        skimmed, parsed = parser.skim(path.read_bytes()), in_tree(parser.parse(path.read_bytes())[0])
        assert (skimmed, list(skimmed.references)) == (parsed, list(parsed.references)), path


def seeded(commands, url):
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "--crawl", "docs", url)


def crawl_to_the_end(commands, consumers):
    commands.run("crawl-status", "docs", "--wait", "--timeout", "80")
    for consumer in consumers:
        assert consumer.wait(30) in {0, -signal.SIGKILL}


def assert_complete(commands, reference, fetched, queues, *, refetched_at_most=0):
    counts = Counter(fetched)
    assert set(counts) == set(reference)
    extra = sum(n - 1 for n in counts.values())
    assert extra <= refetched_at_most, [url for url, n in counts.items() if n > 1]
    pages = Counter(record["url"] for record in commands.records())
    assert set(pages) == {url for url, status in reference.items() if status == 200}
    assert sum(n - 1 for n in pages.values()) <= extra
    books = commands.status()
    assert (books["state"], books["admitted"], books["done"]) == ("complete", len(reference), len(reference))
    assert books["counts"]["discovered"] == sum(
        n for name, n in books["counts"].items() if name == "duplicate" or name.startswith("filtered:")
    ) + len(reference)
    # A quorum queue tells rabbitmqctl its counts every five seconds.
    wait_until(lambda: not any(q["messages_ready"] or q["messages_unacknowledged"] for q in queues()), "empty queues")


@pytest.fixture
def queues(rabbit, fresh_vhost):
    return lambda: rabbit.list_queues("name", "messages_ready", "messages_unacknowledged", vhost=fresh_vhost)


def test_two_consumers_fetch_every_page_exactly_once(docs, reference, requests, commands, queues):
    before = len(docs.requests())
    seeded(commands, docs.url)
    crawl_to_the_end(commands, [commands.consumer(), commands.consumer()])
    assert len(reference) > 500
    assert_complete(commands, reference, requests(), queues)
    assert docs.requests()[before:].count("/robots.txt") == 1


def test_sigterm_in_the_middle_costs_nothing(docs, reference, requests, commands, queues):
    seeded(commands, docs.url)
    leaver, stayer = (commands.consumer("--concurrency", str(CONCURRENCY)) for _ in range(2))
    wait_until(lambda: len(requests()) > 150, "the crawl to be in its middle")
    leaver.terminate()
    assert leaver.wait(30) == 0
    crawl_to_the_end(commands, [stayer])
    assert_complete(commands, reference, requests(), queues)


def test_a_consumer_takes_no_thread_where_all_is_told_by_address(docs, requests, commands):
    """With a thread each page would cost more; see crawl_producer/loop.py."""
    seeded(commands, docs.url)
    consumer = commands.start("crawl-consumer", "--queue", "docs.*", "--concurrency", str(CONCURRENCY))
    wait_until(lambda: len(requests()) > 150, "the crawl to be in its middle")
    assert len(list(Path(f"/proc/{consumer.pid}/task").iterdir())) == 1
    consumer.terminate()
    assert consumer.wait(30) == 0


def named(folder, name):
    """A topology whose docs crawl tells the site this name."""
    topology = yaml.safe_load((ROOT / "exchanges.yaml").read_text())
    topology["crawls"]["docs"]["user_agent"] = name
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(topology))
    return str(path)


def test_kill_9_in_the_middle_costs_at_most_what_was_in_flight(docs, reference, requests, commands, queues, tmp_path):
    seeded(commands, docs.url)
    victim, stayer = (
        commands.consumer("--concurrency", str(CONCURRENCY), CRAWL_TOPOLOGY=named(tmp_path, name))
        for name in ("victim", "stayer")
    )
    wait_until(lambda: len(requests()) > 150, "the crawl to be in its middle")
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    crawl_to_the_end(commands, [stayer])
    assert_complete(commands, reference, requests(), queues, refetched_at_most=CONCURRENCY)
    agents = {}
    for request in docs.request_log()[-len(requests()) :]:
        agents.setdefault(request.path, []).append(request.user_agent)
    again = {path: by for path, by in agents.items() if len(by) > 1 and path != "/robots.txt"}
    assert all(by == ["victim", "stayer"] for by in again.values()), again


def test_a_supervisor_replaces_a_killed_process(docs, reference, requests, commands, queues):
    seeded(commands, docs.url)
    supervisor = commands.consumer("--concurrency", str(CONCURRENCY), "--processes", "2")
    wait_until(lambda: len(requests()) > 150, "the crawl to be in its middle")
    children = children_of(supervisor.pid)
    assert len(children) == 2
    os.kill(children[0], signal.SIGKILL)
    crawl_to_the_end(commands, [supervisor])
    assert_complete(commands, reference, requests(), queues, refetched_at_most=CONCURRENCY)


def test_children_end_when_their_supervisor_is_killed(docs, requests, commands):
    seeded(commands, docs.url)
    supervisor = commands.consumer("--concurrency", "1", "--processes", "2")
    wait_until(lambda: len(requests()) > 20, "both children to work")
    children = children_of(supervisor.pid)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    wait_until(lambda: not any(alive(child) for child in children), "the children to end")


@pytest.mark.parametrize("first", ["127.0.0.1:9", "no-such-node.invalid:5672"], ids=["down", "unresolvable"])
def test_the_first_node_of_the_list_need_not_be_there(docs, reference, requests, commands, queues, first):
    commands.environment["CRAWL_RABBITMQ_NODES"] = f"{first},{commands.environment['CRAWL_RABBITMQ_NODES']}"
    seeded(commands, docs.url)
    crawl_to_the_end(commands, [commands.consumer(), commands.consumer()])
    assert_complete(commands, reference, requests(), queues)


def test_a_node_of_three_is_killed_in_the_middle(
    docs, reference, requests, cluster, cluster_vhost, cluster_environment, tmp_path
):
    commands = Commands(cluster_environment, tmp_path)
    try:
        seeded(commands, docs.url)
        consumers = [commands.consumer("--concurrency", str(CONCURRENCY)) for _ in range(2)]
        wait_until(lambda: len(requests()) > 150, "the crawl to be in its middle")
        # The victim is a node that a consumer is connected to, so that its connections die too.
        log = (tmp_path / "crawl-consumer-0.log").read_text()
        victim = next(n for n, node in enumerate(cluster.nodes) if f":{node.port}" in log)
        cluster.nodes[victim].kill()
        crawl_to_the_end(commands, consumers)

        def survivors_queues():
            columns = ("name", "messages_ready", "messages_unacknowledged")
            return cluster.list_queues(*columns, vhost=cluster_vhost, node=(victim + 1) % 3)

        assert_complete(commands, reference, requests(), survivors_queues, refetched_at_most=2 * CONCURRENCY)
    finally:
        print(commands.stop())


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
