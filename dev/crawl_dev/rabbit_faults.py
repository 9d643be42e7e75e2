"""What can befall a private RabbitMQ cluster besides dying: partitions, alarms, lost connections.

A node is cut off with the cookie by which Erlang nodes trust each other: one that takes each of the others for a
stranger refuses them, and they it, while rabbitmqctl still reaches all. That works without privileges, and at once.
"""

import time
from collections.abc import Iterable
from urllib.parse import quote

from crawl_dev.errors import ServersError
from crawl_dev.process import POLL_S
from crawl_dev.rabbit_cluster import RabbitCluster
from crawl_dev.rabbit_node import RabbitNode

#: An alarm comes with the setting that causes it, and reaches all nodes within a second.
_ALARM_DEADLINE_S = 20.0
#: More memory than this, and less disk, any node has; and what private nodes begin with, as rabbit_cluster says.
_NO_MEMORY = "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1000000})"
_NO_DISK = "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)"
_ROOM = (
    "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1073741824}), "
    "rabbit_disk_monitor:set_disk_free_limit(50000000)"
)
#: A node that had been paused boots again: as long as a start.
_HEAL_DEADLINE_S = RabbitNode.ready_deadline_s
_SEES_ALL = (
    "rabbit_node_monitor:partitions() =:= [] andalso "
    "lists:sort(rabbit_nodes:all_running()) =:= lists:sort(rabbit_nodes:all())."
)


def leader(cluster: RabbitCluster, queue: str, vhost: str) -> RabbitNode:
    """The node that leads a quorum queue.

    Raises:
        ServersError: no node says, or the queue has none just now.
    """
    for node in cluster.nodes:
        if not node.answers():
            continue
        known = node.management.call("GET", f"queues/{quote(vhost, safe='')}/{quote(queue, safe='')}")
        for candidate in cluster.nodes:
            if candidate.full_name == known.get("leader"):
                return candidate
    raise ServersError(f"queue {queue} has no leader")


def cut_off(node: RabbitNode, others: Iterable[RabbitNode]) -> None:
    """Cut a node's connections to others, and let none come about again until :func:`reconnect`."""
    names = _erlang_list(others)
    node.ctl("eval", f"[begin erlang:set_cookie(N, cut), erlang:disconnect_node(N) end || N <- {names}].")


def reconnect(node: RabbitNode, others: Iterable[RabbitNode]) -> None:
    """Let a node that was cut off find others again. A minority that has paused itself then comes back."""
    names = _erlang_list(others)
    node.ctl("eval", f"[begin erlang:set_cookie(N, erlang:get_cookie()), net_adm:ping(N) end || N <- {names}].")


def heal(cluster: RabbitCluster) -> None:
    """Make the cluster whole: thaw, start and reconnect all, end alarms, and restart who still takes others for lost.

    Raises:
        ServersError: it is not whole in time.
    """
    for node in cluster.nodes:
        node.resume()
        node.start()
    for node in cluster.nodes:
        _found_again(node, [other for other in cluster.nodes if other is not node])
    until = time.monotonic() + _HEAL_DEADLINE_S
    while not all(_asked(node, _SEES_ALL) for node in cluster.nodes):
        for node in cluster.nodes:
            if split(node):
                rejoin(node)
        if time.monotonic() > until:
            raise ServersError(f"the cluster is still split after {_HEAL_DEADLINE_S:.0f} s")
        time.sleep(POLL_S)
    cluster.wait_online()
    for node in cluster.nodes:
        end_alarms(node)


def split(node: RabbitNode) -> bool:
    """Whether a node takes others for cut off though it can reach them.

    A node that was frozen for longer than ``net_ticktime``, or whose machine slept, comes back like this: it has
    missed its own exclusion, so ``pause_minority`` does not act, and the cluster stays split until it is restarted.
    """
    return _asked(node, "rabbit_node_monitor:partitions() =/= [].")


def rejoin(node: RabbitNode) -> None:
    """What an operator does with a node that is split off."""
    node.ctl("stop_app")
    node.ctl("start_app")


def alarm_memory(node: RabbitNode) -> None:
    """Let a node take its memory for full; the whole cluster stops reading from those who publish."""
    _set(node, _NO_MEMORY, alarms=True)


def alarm_disk(node: RabbitNode) -> None:
    """Let a node take its disk for full, to the same effect."""
    _set(node, _NO_DISK, alarms=True)


def end_alarms(node: RabbitNode) -> None:
    """Let there be room again."""
    _set(node, _ROOM, alarms=False)


def close_connections(node: RabbitNode, vhost: str) -> None:
    """Close every client's connection to a virtual host, on all nodes."""
    node.ctl("close_all_connections", "--vhost", vhost, "a storm of the test")


def _set(node: RabbitNode, limits: str, *, alarms: bool) -> None:
    """Set limits again and again until there are alarms, or none: one rabbitmqctl takes a second on a busy machine."""
    until = time.monotonic() + _ALARM_DEADLINE_S
    while ("resource_limit" in node.ctl("eval", f"{limits}, rabbit_alarm:get_local_alarms().")) is not alarms:
        if time.monotonic() > until:
            raise ServersError(f"{node.name} has {'no alarm' if alarms else 'alarms'} in spite of its limits")


def _asked(node: RabbitNode, question: str) -> bool:
    """What it answers to a question in Erlang; False while RabbitMQ in it is paused."""
    try:
        return node.ctl("eval", question).strip() == "true"
    except ServersError:
        return False


def _found_again(node: RabbitNode, others: Iterable[RabbitNode]) -> None:
    """Reconnect as soon as the node's Erlang answers; RabbitMQ in it may be paused."""
    until = time.monotonic() + _HEAL_DEADLINE_S
    while True:
        try:
            reconnect(node, others)
        except ServersError:
            if time.monotonic() > until or not node.alive:
                raise
        else:
            return


def _erlang_list(nodes: Iterable[RabbitNode]) -> str:
    return "[" + ", ".join(f"'{node.full_name}'" for node in nodes) + "]"
