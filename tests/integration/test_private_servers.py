"""The private servers do what tests rely on: come up, die and return on command, and leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from crawl_dev import (
    PrivateServers,
    RabbitCluster,
    RedisServer,
    Servers,
    ServersError,
    StaticSite,
    python_docs_root,
)
from e2e_kit import wait_until

_DEV = str(Path(__file__).parents[2] / "dev")
_QUORUM_QUEUE = {"durable": True, "arguments": {"x-queue-type": "quorum"}}


def _declare(cluster: RabbitCluster, vhost: str, queue: str) -> None:
    cluster.nodes[0].management.call("PUT", f"queues/{vhost}/{queue}", _QUORUM_QUEUE)


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crawl_dev", *arguments],
        env=os.environ | {"PYTHONPATH": _DEV},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_killed_node_returns_with_its_queues(rabbit: RabbitCluster, fresh_vhost: str) -> None:
    _declare(rabbit, fresh_vhost, "kept")
    node = rabbit.nodes[0]
    before = node.pid
    node.kill()
    assert not node.alive
    assert not node.answers()
    node.restart()
    assert node.pid != before
    assert rabbit.list_queues("name", "messages_ready", vhost=fresh_vhost) == [{"name": "kept", "messages_ready": 0}]


@pytest.mark.usefixtures("fresh_vhost")
def test_a_frozen_node_is_silent_until_it_is_thawed(rabbit: RabbitCluster) -> None:
    node = rabbit.nodes[0]
    node.pause()
    assert node.alive
    assert not node.answers()
    node.resume()
    node.wait_ready()


@pytest.mark.usefixtures("fresh_vhost")
def test_rabbitmqctl_says_in_one_line_what_is_wrong(rabbit: RabbitCluster) -> None:
    with pytest.raises(ServersError, match="rabbitmqctl no_such_command") as caught:
        rabbit.ctl("no_such_command")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("fresh_vhost")
def test_a_rabbitmqctl_that_hangs_is_ended_with_everything_it_started(
    rabbit: RabbitCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawl_dev.rabbit_node._CTL_TIMEOUT_S", 5.0)
    node = rabbit.nodes[0]
    node.pause()
    with pytest.raises(ServersError, match="no answer in 5 s"):
        node.ctl("list_queues")
    started = f"-home {node.folder.parent} .*rabbitmqctl"
    listed = ["ps", "-ww", "-eo", "args"]
    wait_until(lambda: not re.search(started, subprocess.check_output(listed, text=True)), "rabbitmqctl to end")
    node.resume()
    node.wait_ready()


def test_three_nodes_survive_one_and_take_it_back(cluster: RabbitCluster, cluster_vhost: str) -> None:
    _declare(cluster, cluster_vhost, "kept")
    first, _, third = cluster.nodes
    third.kill()
    deadline = time.monotonic() + 30
    while third.full_name in first.management.running_nodes():
        assert time.monotonic() < deadline
    assert [queue["name"] for queue in cluster.list_queues("name", vhost=cluster_vhost)] == ["kept"]
    cluster.heal()
    assert len(third.management.running_nodes()) == 3
    assert len(cluster.environment()["CRAWL_RABBITMQ_NODES"].split(",")) == 3


@pytest.mark.usefixtures("fresh_redis")
def test_a_killed_redis_returns_with_its_data(redis_server: RedisServer) -> None:
    # By "everysec" an answer may be two seconds ahead of the file when the disk is busy. The restart undoes this.
    redis_server.command("CONFIG SET appendfsync always")
    redis_server.command("SET kept 1")
    redis_server.kill()
    redis_server.restart()
    assert redis_server.command("EXISTS kept") == ":1"


def test_servers_end_when_their_owner_is_killed() -> None:
    script = (
        "import sys; from crawl_dev import PrivateServers\n"
        "with PrivateServers(rabbit_nodes=0) as servers:\n"
        "    print(servers.folder, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": _DEV},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        redis = Servers.open(folder).redis
        assert redis.answers()
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while folder.exists() or redis.answers():
        assert time.monotonic() < deadline


def test_a_server_that_cannot_start_is_reported_with_its_reason(tmp_path: Path) -> None:
    with (
        pytest.raises(ServersError, match="never-ever") as caught,
        PrivateServers(rabbit_nodes=0, folder=tmp_path, redis_settings={"appendfsync": "never-ever"}),
    ):
        raise AssertionError
    assert str(tmp_path / "redis" / "redis.log") in caught.value.remedy


def test_detached_servers_are_found_and_stopped_by_their_folder(tmp_path: Path) -> None:
    folder = str(tmp_path / "servers")
    up = _command("up", "--nodes", "0", "--folder", folder)
    redis = Servers.open(Path(folder)).redis
    try:
        assert f"export CRAWL_REDIS_URL={redis.url}\n" in up.stdout
        assert "ready" in _command("status", folder).stdout
        assert _command("kill", folder, "redis").returncode == 0
        assert "dead" in _command("status", folder).stdout
        assert _command("restart", folder, "redis").returncode == 0
        assert redis.answers()
    finally:
        assert _command("down", folder).returncode == 0
    assert not redis.alive


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("down", "/nowhere"), "/nowhere holds no private servers"),
        (("up", "--nodes", "0", "--folder", _DEV), "is not empty"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    done = _command(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_site_serves_its_folder_and_remembers_every_request(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>hello")
    with StaticSite(tmp_path) as site:
        request = urllib.request.Request(f"{site.url}?a=b", headers={"User-Agent": "a test"})
        with urllib.request.urlopen(request) as response:
            assert response.read() == b"<p>hello"
            assert response.headers["Content-Type"] == "text/html"
        deadline = time.monotonic() + 10
        while not site.requests():
            assert time.monotonic() < deadline
        assert site.requests() == ["/?a=b"]
        assert [(r.method, r.status, r.user_agent) for r in site.request_log()] == [("GET", 200, "a test")]
    assert not site.alive
    assert not site.folder.exists()


def test_the_python_manual_is_the_real_folder() -> None:
    root = python_docs_root()
    assert root is None or (root == root.resolve() and (root / "index.html").exists())
