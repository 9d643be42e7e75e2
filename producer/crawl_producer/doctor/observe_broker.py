"""Asking RabbitMQ: over AMQP what is of this moment, over the management API what AMQP cannot tell."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from crawl_producer import management, names
from crawl_producer.broker import Broker
from crawl_producer.doctor.facts import BrokerFacts, ChannelFacts, NodeFacts, QueueFacts
from crawl_producer.errors import TopologyMissing
from crawl_producer.topology import Connection, Topology


async def observe(topology: Topology, crawls: Iterable[str], broker: Broker) -> BrokerFacts:
    """All that can be known.

    Args:
        topology: exchanges.yaml.
        crawls: whose queues are looked at.
        broker: asked for depths.

    Raises:
        BrokerUnreachable, BrokerRefused: the broker could not be asked.
    """
    connection = topology.connection
    overview = await management.ask(connection, "overview")
    return BrokerFacts(
        queues=await observe_queues(topology, crawls, broker),
        management=management.address(connection) if overview else None,
        version=overview.get("rabbitmq_version") if overview else None,
        nodes=tuple(_node(node) for node in await management.ask(connection, "nodes") or ()),
        blocked=tuple(_blocked(await management.ask(connection, "connections") or ())),
        channels=tuple(_channels(await management.ask(connection, "channels") or (), connection.vhost)),
    )


async def observe_queues(topology: Topology, crawls: Iterable[str], broker: Broker) -> Mapping[str, QueueFacts]:
    """The queues and inboxes of these crawls, those that all share, and the readers' of items; only what exists."""
    told = await _told(topology.connection)
    found = {}
    for name in _names(topology, set(crawls)):
        try:
            depth = await broker.depth(name)
        except TopologyMissing:
            continue
        found[name] = _queue(name, depth.ready, depth.consumers, told.get(name, {}))
    return found


def _names(topology: Topology, crawls: set[str]) -> list[str]:
    mine = [name for name, spec in topology.queues.items() if spec.crawl in crawls]
    derived = [name for queue in mine for name in (queue, names.due_queue(queue), names.dead_queue(queue))]
    inboxes = [name for name, spec in topology.inboxes.items() if spec.crawl in crawls]
    derived += [name for inbox in inboxes for name in (inbox, names.dead_queue(inbox))]
    readers = [name for items in topology.items.values() for name in items.queues]
    return [*derived, *readers, *map(names.delay_queue, names.DELAYS_MS), names.UNROUTED]


async def _told(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
    queues = await management.ask(connection, f"queues/{quote(connection.vhost, safe='')}")
    return {queue["name"]: queue for queue in queues or () if "name" in queue}


def _queue(name: str, ready: int, consumers: int, told: Mapping[str, Any]) -> QueueFacts:
    arguments = told.get("arguments") or {}
    policy = told.get("effective_policy_definition") or {}
    members = told.get("members") or ()
    online = told.get("online") or ()
    return QueueFacts(
        name=name,
        ready=ready,
        consumers=consumers,
        unacked=told.get("messages_unacknowledged"),
        held=_held(told),
        type=told.get("type"),
        members=len(members),
        online=len(online),
        followers=tuple(sorted(str(node) for node in online if node != told.get("leader"))),
        max_length=_lower(arguments.get("x-max-length"), policy.get("max-length")),
        delivery_limit=_lower(arguments.get("x-delivery-limit"), policy.get("delivery-limit")),
        policy=told.get("policy") or told.get("operator_policy") or "",
        consumer_timeout_ms=_lower(arguments.get("x-consumer-timeout"), policy.get("consumer-timeout")),
        mirrored="ha-mode" in policy,
    )


def _held(told: Mapping[str, Any]) -> int:
    """What RabbitMQ counts as the queue's, and neither as ready nor as unacknowledged."""
    known = (told.get("messages_ready") or 0) + (told.get("messages_unacknowledged") or 0)
    return max(0, int(told.get("messages") or 0) - int(known))


def _lower(argument: Any, policy: Any) -> int | None:
    """Of an argument and a policy the lower number is in force (https://www.rabbitmq.com/docs/policies#combined)."""
    numbers = [number for number in (argument, policy) if isinstance(number, int)]
    return min(numbers, default=None)


def _node(told: Mapping[str, Any]) -> NodeFacts:
    return NodeFacts(
        name=str(told.get("name", "?")),
        running=bool(told.get("running")),
        memory_alarm=bool(told.get("mem_alarm")),
        disk_alarm=bool(told.get("disk_free_alarm")),
        memory_bytes=int(told.get("mem_used") or 0),
        memory_limit_bytes=int(told.get("mem_limit") or 0),
        disk_free_bytes=int(told.get("disk_free") or 0),
        disk_limit_bytes=int(told.get("disk_free_limit") or 0),
        partitions=tuple(map(str, told.get("partitions") or ())),
    )


def _blocked(connections: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for connection in connections:
        if connection.get("state") == "blocked":
            yield _name(connection)


def _channels(channels: Iterable[Mapping[str, Any]], vhost: str) -> Iterable[ChannelFacts]:
    for channel in channels:
        unacked = channel.get("messages_unacknowledged") or 0
        if unacked and channel.get("vhost") == vhost:
            yield ChannelFacts(_name(channel), unacked, _idle_s(channel.get("idle_since")))


def _name(told: Mapping[str, Any]) -> str:
    """What the client calls itself, where it says so."""
    properties = told.get("client_properties") or {}
    return str(properties.get("connection_name") or told.get("user_provided_name") or told.get("name") or "?")


def _idle_s(since: object) -> float:
    """Seconds since a moment as RabbitMQ writes it: ``2026-01-31 12:00:00`` in UTC, newer ones with T and zone."""
    if not isinstance(since, str):
        return 0.0
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
