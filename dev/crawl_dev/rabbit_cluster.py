"""A private RabbitMQ cluster of one or more nodes, with an Erlang port mapper and a cookie of its own."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crawl_dev import installed, ports
from crawl_dev.errors import ServersError
from crawl_dev.layout import NodePorts
from crawl_dev.management import PASSWORD, USERNAME
from crawl_dev.process import POLL_S, STOP_DEADLINE_S, ServerProcess
from crawl_dev.rabbit_installation import RabbitInstallation
from crawl_dev.rabbit_node import RabbitNode

#: Asks a port mapper for all names (Erlang distribution protocol, NAMES_REQ): a length of one byte, and "n".
_NAMES_REQ = b"\x00\x01n"
_SETTINGS = {
    "management.tcp.ip": ports.LOOPBACK,
    "vm_memory_high_watermark.absolute": "1GiB",  # 40 % of the machine's memory otherwise, for each node
    "disk_free_limit.absolute": "50MB",
    "raft.wal_max_size_bytes": "33554432",  # 512 MiB otherwise, held in memory
    "log.file": "false",
    "log.console": "true",
    "log.console.level": "warning",
    "log.console.use_colors": "off",
}


class _Epmd(ServerProcess):
    """Erlang's port mapper, which tells nodes where to find each other; a private one, so no other is met."""

    def __init__(
        self, folder: Path, port: int, environment: Mapping[str, str], installation: RabbitInstallation
    ) -> None:
        # Started by a node it would become a daemon that outlives the node, and nobody's child.
        command = [*installation.epmd(folder), "-port", str(port), "-address", ports.LOOPBACK]
        super().__init__("epmd", port, folder, command, environment)

    def answers(self) -> bool:
        return bool(ports.ask(self.port, _NAMES_REQ))


class RabbitCluster:
    """RabbitMQ nodes that form a cluster, apart from every other RabbitMQ of the machine.

    Args:
        folder: where everything of it is kept.
        epmd_port: where its port mapper listens; a private one, so that no other Erlang node is met.
        nodes: where each node listens.
        installation: the RabbitMQ that they run.
    """

    def __init__(
        self, folder: Path, epmd_port: int, nodes: Sequence[NodePorts], installation: RabbitInstallation
    ) -> None:
        self._folder = folder
        self._environment = {
            "PATH": installed.SEARCH_PATH,
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": ports.LOOPBACK,
            "RABBITMQ_USE_LONGNAME": "true",  # names end in an address, so no hosts file is asked
            # Any free port; by default all rabbitmqctl processes of the machine share ten.
            "RABBITMQ_CTL_DIST_PORT_MIN": "0",
            "RABBITMQ_CTL_DIST_PORT_MAX": "0",
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._epmd = _Epmd(folder, epmd_port, self._environment, installation)
        self.nodes = tuple(
            RabbitNode(f"rabbit{number}", node_ports, folder / f"rabbit{number}", self._environment, installation)
            for number, node_ports in enumerate(nodes, start=1)
        )

    def __repr__(self) -> str:
        return f"<RabbitCluster {list(self.nodes)}>"

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """Everything that runs for it, in the order of starting."""
        return (self._epmd, *self.nodes)

    @property
    def management_url(self) -> str:
        """The first node's management pages and HTTP API."""
        return self.nodes[0].management_url

    def environment(self, vhost: str = "/") -> dict[str, str]:
        """The variables that lead the crawl-* commands to this cluster."""
        return {
            "CRAWL_RABBITMQ_NODES": ",".join(f"{ports.LOOPBACK}:{node.port}" for node in self.nodes),
            "CRAWL_RABBITMQ_VHOST": vhost,
            "CRAWL_RABBITMQ_USERNAME": USERNAME,
            "CRAWL_RABBITMQ_PASSWORD": PASSWORD,
            "CRAWL_RABBITMQ_MANAGEMENT": self.management_url,
        }

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write every node's files; ``settings`` add to or replace lines of rabbitmq.conf."""
        cookie = self._folder / ".erlang.cookie"
        cookie.touch(mode=0o600)
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)  # Erlang refuses a cookie that others can read
        common = _SETTINGS | self._clustering()
        for node in self.nodes:
            node.configure(common | {"management.tcp.port": str(node.management_port)} | dict(settings))

    def start(self) -> None:
        """Start all nodes at once and wait until each sees all the others."""
        self._epmd.start()
        self._epmd.wait_ready()
        for node in self.nodes:
            node.start()
        self.wait_online()

    def wait_online(self, deadline_s: float = RabbitNode.ready_deadline_s) -> None:
        """Wait until every node is ready and sees every other.

        Raises:
            ServersError: a node ended, or they have not found each other after ``deadline_s`` seconds.
        """
        until = time.monotonic() + deadline_s
        for node in self.nodes:
            node.wait_ready(max(0.0, until - time.monotonic()))
        everyone = {node.full_name for node in self.nodes}
        for node in self.nodes:
            while (seen := node.management.running_nodes()) != everyone:
                if time.monotonic() > until:
                    raise ServersError(f"{node.name} sees only {', '.join(sorted(seen))}; the cluster is split")
                time.sleep(POLL_S)

    def heal(self) -> None:
        """Thaw and start whatever a test has frozen or killed, and wait until the cluster is whole."""
        for process in self.processes:
            process.resume()
        self.start()

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Stop all nodes at once in good order, killing those that take longer, then the port mapper."""
        for node in self.nodes:
            node.ask_to_end()
        until = time.monotonic() + deadline_s
        for node in self.nodes:
            node.terminate(max(0.0, until - time.monotonic()))
        self._epmd.terminate()

    def ctl(self, *arguments: str, node: int = 0) -> str:
        """What ``rabbitmqctl --quiet <arguments>`` prints, asked of the node with this index."""
        return self.nodes[node].ctl(*arguments)

    def list_queues(self, *columns: str, vhost: str = "/", node: int = 0) -> list[dict[str, Any]]:
        """One dict per queue with these columns, such as ``name messages_ready``, as rabbitmqctl has them."""
        queues: list[dict[str, Any]] = json.loads(
            self.ctl("--vhost", vhost, "list_queues", "--formatter=json", *(columns or ("name", "messages")), node=node)
        )
        return queues

    def add_vhost(self, name: str) -> None:
        """Create a virtual host that runs on every node."""
        self.nodes[0].management.add_vhost(name, RabbitNode.ready_deadline_s)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with everything in it."""
        self.nodes[0].management.delete_vhost(name)

    def _clustering(self) -> dict[str, str]:
        if len(self.nodes) == 1:
            return {}
        discovery = "cluster_formation.peer_discovery_backend"
        members = "cluster_formation.classic_config.nodes"
        return {
            # A node that has lost the majority must not go on by itself: its queues would come apart.
            "cluster_partition_handling": "pause_minority",
            discovery: "classic_config",
            **{f"{members}.{number}": node.full_name for number, node in enumerate(self.nodes, start=1)},
        }
