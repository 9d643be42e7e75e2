"""One private RabbitMQ node: its files, its process, and what can be done to it."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from crawl_dev import ports
from crawl_dev.errors import ServersError
from crawl_dev.identity import ProcessIdentity
from crawl_dev.layout import NodePorts
from crawl_dev.management import Management
from crawl_dev.process import ServerProcess
from crawl_dev.rabbit_installation import RabbitInstallation

#: The first bytes of AMQP 0-9-1 (section 4.2.2); a node that is up answers connection.start, a method frame.
_AMQP_GREETING, _METHOD_FRAME = b"AMQP\x00\x00\x09\x01", b"\x01"
#: Two schedulers, bound to no core, because several nodes share the machine; a dead node is noticed in 10 s
#: instead of 60; nothing listens outside loopback.
_ERLANG_ARGUMENTS = "+S {schedulers}:{schedulers} -kernel net_ticktime 10 -kernel inet_dist_use_interface {{127,0,0,1}}"

#: What only the Erlang configuration can say: how soon a delay whose end got no confirm is ended again, instead of
#: after three minutes. A queue's leader that dies or is cut off in that moment would hold up its URLs for so long.
_ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n"

#: rabbitmqctl starts an Erlang virtual machine, which takes a second; a hanging node makes it wait for ever.
_CTL_TIMEOUT_S = 60.0


class RabbitNode(ServerProcess):
    """One RabbitMQ node of a private cluster.

    Args:
        name: its short name, such as ``rabbit1``.
        node_ports: where it listens.
        folder: its own folder; :meth:`configure` fills it.
        environment: what all nodes and command-line tools of the cluster share.
        installation: the RabbitMQ that it runs.

    Attributes:
        ctl_command: rabbitmqctl, which needs the cluster's environment.
    """

    #: A node is up in 6 s, three at once in 20 s, and a machine that is busy with tests takes much longer.
    ready_deadline_s = 90.0

    def __init__(
        self,
        name: str,
        node_ports: NodePorts,
        folder: Path,
        environment: Mapping[str, str],
        installation: RabbitInstallation,
    ) -> None:
        self.full_name = f"{name}@{ports.LOOPBACK}"
        self.ports = node_ports
        self.management_port = node_ports.management
        self.management = Management(node_ports.management)
        self._booted: ProcessIdentity | None = None
        # The name is the node to ask, and gives rabbitmqctl the host part of its own name: every node of the cluster
        # must find it there (list_queues waits for ever otherwise), and the machine's own name may not resolve.
        self._tools_environment = dict(environment) | {"RABBITMQ_NODENAME": self.full_name}
        self.ctl_command = installation.ctl(folder)
        own = self._own_environment(folder)
        super().__init__(name, node_ports.amqp, folder, installation.server(folder), dict(environment) | own)

    @property
    def management_url(self) -> str:
        """Where its management pages and HTTP API are."""
        return self.management.url

    def configure(self, settings: Mapping[str, str]) -> None:
        """Make its folder and files; ``settings`` are the lines of rabbitmq.conf."""
        (self.folder / "conf.d").mkdir(parents=True)
        (self.folder / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "advanced.config").write_text(_ADVANCED)
        (self.folder / "rabbitmq-env.conf").write_text("")
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def answers(self) -> bool:
        """Whether it takes AMQP connections and its management API answers."""
        return (
            ports.ask(self.port, _AMQP_GREETING)[:1] == _METHOD_FRAME
            and self.full_name in self.management.running_nodes()
        )

    def wait_ready(self, deadline_s: float | None = None) -> None:
        """Wait until it answers and has booted to the end.

        Before that, the other nodes leave it out when they make a virtual host, which then never runs on it.
        """
        if self._booted == self.identity and self.answers():
            return
        super().wait_ready(deadline_s)
        self.ctl("await_startup")
        self._booted = self.identity

    def pause(self) -> None:
        """Freeze it (SIGSTOP). After net_ticktime the others take it for dead; then thawing does not bring it back.

        See :func:`crawl_dev.rabbit_faults.split`.
        """
        self._booted = None
        super().pause()

    def ctl(self, *arguments: str) -> str:
        """What ``rabbitmqctl --quiet <arguments>`` prints, asked of this node.

        Raises:
            ServersError: it failed or hung; the message has what it said.
        """
        child = subprocess.Popen(
            [*self.ctl_command, "--quiet", *arguments],
            env=self._tools_environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with child:
            try:
                printed, complained = child.communicate(timeout=_CTL_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise ServersError(f"rabbitmqctl {' '.join(arguments)}: no answer in {_CTL_TIMEOUT_S:.0f} s") from None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)  # it is a script, and what hangs is the script's child
        if child.returncode != 0:
            said = " ".join((complained or printed).split())
            raise ServersError(f"rabbitmqctl {' '.join(arguments)}: {said}")
        return printed

    def _own_environment(self, folder: Path) -> dict[str, str]:
        return {
            "RABBITMQ_NODENAME": self.full_name,
            "RABBITMQ_NODE_IP_ADDRESS": ports.LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.ports.amqp),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": str(folder),
            # Without these the machine's own /etc/rabbitmq would have a say.
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": f"{folder}/conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG_ARGUMENTS.format(schedulers=min(2, os.cpu_count() or 1)),
            "ERL_CRASH_DUMP": f"{folder}/erl_crash.dump",
            # The script then becomes the Erlang virtual machine, not its parent: our pid is the node's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
