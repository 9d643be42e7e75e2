"""The RabbitMQ of another system runs in its folder, and nothing of that stays mounted or alive."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from crawl_dev import PrivateServers, RabbitCluster, RabbitInstallation
from e2e_kit import wait_until

pytestmark = pytest.mark.servers


def _namespaces() -> Iterator[Path]:
    """The mount namespace of every process of the machine."""
    for link in Path("/proc").glob("[0-9]*/ns/mnt"):
        with suppress(OSError):  # ended meanwhile
            yield link.readlink()


def test_the_nodes_run_the_version_that_the_tests_say(rabbit: RabbitCluster) -> None:
    overview = rabbit.nodes[0].management.call("GET", "overview")
    assert overview["rabbitmq_version"] == RabbitInstallation.chosen().version


def test_what_is_mounted_for_a_node_is_seen_by_nobody_else(rabbit: RabbitCluster) -> None:
    root = RabbitInstallation.chosen().root
    for process in rabbit.processes:
        assert Path(f"/proc/{process.pid}/root").readlink() == root
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def test_a_program_of_another_system_works_on_the_servers_files(tmp_path: Path) -> None:
    installation = RabbitInstallation.chosen()
    assert installation.root is not None
    shell = installation._command(installation.root / "usr/bin/sh", tmp_path)
    script = f". /etc/os-release; echo $ID $VERSION_ID > {tmp_path}/says"
    subprocess.run([*shell, "-c", script], check=True)
    assert (tmp_path / "says").read_text() == "debian 13\n"


def test_killed_nodes_take_their_mounts_with_them() -> None:
    with PrivateServers(1, redis=False) as servers:
        namespaces = {Path(f"/proc/{process.pid}/ns/mnt").readlink() for process in servers.processes}
        assert namespaces <= set(_namespaces())
    wait_until(lambda: namespaces.isdisjoint(_namespaces()), "the mounts to go")
