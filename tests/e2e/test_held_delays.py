"""A delay queue that gives nothing away while a node is gone: crawl-doctor tells, and its command moves the leader."""

import json
import shlex
from functools import partial

import pytest

from crawl_dev import RabbitInstallation, rabbit_faults
from crawl_producer.doctor import check_held
from crawl_producer.doctor.facts import QueueFacts
from e2e_kit import Commands, wait_until

RUNG = "crawl.delay.500"
TOPOLOGY = """
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
crawls: {docs: {exchange: crawl.docs, key: page}}
"""

pytestmark = pytest.mark.timeout(180)


def hold_messages(node, vhost, number):
    """Let a delay be over for so many messages that cannot leave: the exchange where they would go is not there."""
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": 1,
        "x-dead-letter-exchange": "crawl.redeliver",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    node.management.call("PUT", f"queues/{vhost}/{RUNG}", {"durable": True, "arguments": arguments})
    message = {"properties": {}, "routing_key": RUNG, "payload": "x", "payload_encoding": "string"}
    for _ in range(number):
        assert node.management.call("POST", f"exchanges/{vhost}/amq.default/publish", message)["routed"]


def told(node, vhost):
    """What the management API knows of the queue: all its messages, those that wait, and the nodes that have it."""
    queue = node.management.call("GET", f"queues/{vhost}/{RUNG}")
    return queue.get("messages"), queue.get("messages_ready"), len(queue.get("online", ()))


def is_led_by(node, cluster, vhost):
    return rabbit_faults.leader(cluster, RUNG, vhost) is node


def test_messages_that_a_delay_holds_while_a_node_is_gone_are_told_and_another_node_can_lead_it(
    cluster, cluster_vhost, cluster_environment, tmp_path
):
    hold_messages(cluster.nodes[0], cluster_vhost, 3)
    leader = rabbit_faults.leader(cluster, RUNG, cluster_vhost)
    gone, follower = (node for node in cluster.nodes if node is not leader)
    gone.kill()
    wait_until(lambda: told(leader, cluster_vhost) == (3, 0, 2), "the management API to know")

    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    commands = Commands(cluster_environment | {"CRAWL_RABBITMQ_MANAGEMENT": leader.management_url}, tmp_path)
    findings = json.loads(commands.shell("crawl-doctor --json; [ $? = 17 ]"))["findings"]
    moves = [finding for finding in findings if finding["command"].startswith("rabbitmqctl eval")]
    holding = {RUNG: QueueFacts(RUNG, held=3, members=3, online=2)}
    if not check_held.suspicious([holding], RabbitInstallation.chosen().version):
        assert moves == []  # in this RabbitMQ it means something else
        return
    (move,) = moves
    assert move["text"].startswith("3 messages ought to have left it")
    leader.ctl(*shlex.split(move["command"])[1:])
    wait_until(partial(is_led_by, follower, cluster, cluster_vhost), "the other node to lead")
