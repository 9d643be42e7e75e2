"""What the tools do to private servers is what they say: power cuts, alarms, partitions, and the way back."""

from functools import partial

import pytest

from crawl_dev import ServersError, rabbit_faults
from crawl_dev.ports import ask
from e2e_kit import wait_until

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("torn_bytes", [0, 7], ids=["between writes", "within a write"])
def test_a_power_cut_takes_what_was_written_since(fresh_redis, redis_server, torn_bytes):
    redis_server.command("CONFIG SET appendfsync always")  # everysec holds writes back while the disk is busy
    redis_server.command("SET before 1")
    survived = redis_server.on_disk()
    redis_server.command("SET after 1")
    assert redis_server.cut_power(survived, torn_bytes) > 0
    redis_server.heal()
    assert redis_server.command("EXISTS before") == ":1"
    assert redis_server.command("EXISTS after") == ":0"


def test_kill_9_takes_nothing_that_was_answered(fresh_redis, redis_server):
    redis_server.command("CONFIG SET appendfsync always")  # everysec holds writes back while the disk is busy
    redis_server.command("SET after 1")
    redis_server.kill()
    redis_server.heal()
    assert redis_server.command("EXISTS after") == ":1"


def test_a_power_cut_is_refused_when_the_file_was_rewritten_meanwhile(fresh_redis, redis_server):
    survived = redis_server.on_disk()
    redis_server.command("BGREWRITEAOF")
    wait_until(lambda: redis_server.on_disk().file != survived.file, "the rewrite")
    with pytest.raises(ServersError, match="has rewritten"):
        redis_server.cut_power(survived)


@pytest.mark.usefixtures("fresh_vhost")
@pytest.mark.parametrize("alarm", [rabbit_faults.alarm_memory, rabbit_faults.alarm_disk], ids=["memory", "disk"])
def test_an_alarm_comes_and_goes(rabbit, alarm):
    (node,) = rabbit.nodes
    alarm(node)
    try:
        assert "resource_limit" in node.ctl("eval", "rabbit_alarm:get_alarms().")
    finally:
        rabbit_faults.end_alarms(node)
    assert node.ctl("eval", "rabbit_alarm:get_alarms().").strip() == "[]"


def test_a_node_that_is_cut_off_pauses_itself_and_its_queue_has_a_new_leader(cluster, cluster_vhost):
    arguments = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    cluster.nodes[0].management.call("PUT", f"queues/{cluster_vhost}/kept", arguments)
    lonely = rabbit_faults.leader(cluster, "kept", cluster_vhost)
    others = [node for node in cluster.nodes if node is not lonely]
    rabbit_faults.cut_off(lonely, others)
    try:
        wait_until(lambda: not ask(lonely.port, b"AMQP\x00\x00\x09\x01"), "the minority to refuse clients")
        wait_until(partial(_leads_elsewhere, cluster, cluster_vhost, lonely), "a new leader")
    finally:
        rabbit_faults.heal(cluster)
    assert all(node.answers() and not rabbit_faults.split(node) for node in cluster.nodes)


def _leads_elsewhere(cluster, vhost, lonely):
    try:
        return rabbit_faults.leader(cluster, "kept", vhost) is not lonely
    except ServersError:
        return False
