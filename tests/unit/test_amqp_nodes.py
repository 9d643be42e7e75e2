"""Pauses, names and parameters of the walk over the nodes."""

import logging
import random
import socket
from itertools import pairwise

from pydantic import SecretStr

from crawl_producer.amqp.link import _quieten_pika
from crawl_producer.amqp.nodes import Backoff, NodeWalk, connection_name, shuffled
from crawl_producer.topology import Connection


def test_pauses_grow_at_most_threefold_and_stay_between_first_and_longest():
    backoff = Backoff(0.2, 30, random.Random(1).uniform)
    pauses = [backoff.next_s() for _ in range(200)]
    assert all(0.2 <= pause <= 30 for pause in pauses)
    assert pauses[0] == 0.2
    assert all(later <= max(0.2, earlier * 3) for earlier, later in pairwise(pauses))
    assert max(pauses) == 30


def test_pauses_of_two_processes_differ():
    one, other = Backoff(0.2, 30, random.Random(1).uniform), Backoff(0.2, 30, random.Random(2).uniform)
    assert [one.next_s() for _ in range(5)] != [other.next_s() for _ in range(5)]


def test_a_healthy_connection_resets_the_pauses():
    backoff = Backoff(0.2, 30)
    for _ in range(20):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.2


def test_every_node_is_in_the_shuffled_order_once():
    settings = Connection(nodes=("a", "b:5673", "[::1]:5674"))
    orders = {shuffled(settings) for _ in range(200)}
    assert {frozenset(order) for order in orders} == {frozenset([("a", 5672), ("b", 5673), ("::1", 5674)])}
    assert len(orders) == 6


def test_a_connection_is_named_for_its_process():
    command, host, pid, purpose = connection_name("crawl-seed", "publish").split("/")
    assert (command, host, purpose) == ("crawl-seed", socket.gethostname(), "publish")
    assert pid.isdigit()


def test_an_attempt_is_at_one_node_and_once():
    settings = Connection(
        nodes=("a", "b"), vhost="v", username="u", password=SecretStr("p"), heartbeat_s=7, connect_timeout_s=2
    )
    parameters = NodeWalk(settings, "name", settings.endpoints())._parameters("b", 5673)
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("b", 5673, "v")
    assert (parameters.connection_attempts, parameters.heartbeat) == (1, 7)
    assert (parameters.socket_timeout, parameters.stack_timeout) == (2, 6)
    assert parameters.client_properties == {"connection_name": "name"}
    assert parameters.ssl_options is None
    assert (parameters.credentials.username, parameters.credentials.password) == ("u", "p")
    assert "'p'" not in repr(parameters)


def test_a_round_begins_after_the_node_that_served_last():
    settings = Connection(nodes=("a", "b", "c"))
    walk = NodeWalk(settings, "name", settings.endpoints())
    assert [host for _, (host, _) in walk._round()] == ["a", "b", "c"]
    walk._first = 2
    assert [host for _, (host, _) in walk._round()] == ["c", "a", "b"]
    walk._first = 3
    assert [host for _, (host, _) in walk._round()] == ["a", "b", "c"]


def test_pika_is_quiet_unless_somebody_asked_it_to_speak():
    logger = logging.getLogger("pika")
    before = logger.level
    try:
        for level, then in ((logging.NOTSET, logging.CRITICAL), (logging.DEBUG, logging.DEBUG)):
            logger.setLevel(level)
            _quieten_pika()
            assert logger.level == then
    finally:
        logger.setLevel(before)
