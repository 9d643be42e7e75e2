"""The cluster: alarms, partitions, nodes that are down, connections that are not read from, versions."""

from collections.abc import Iterator

from crawl_producer.doctor.facts import BrokerFacts, NodeFacts
from crawl_producer.doctor.finding import Finding, Level

SUBJECT = "rabbitmq"
#: The oldest with at-least-once dead-lettering, which the ladder of delays needs.
OLDEST = (3, 10)
#: The last series that its makers still mended when this was written (https://www.rabbitmq.com/release-information).
OLDEST_MENDED = (4, 0)


def check(broker: BrokerFacts) -> list[Finding]:
    """What is wrong with the cluster; a line that sums it up comes first."""
    if broker.management is None:
        return [
            Finding(
                Level.WARNING,
                SUBJECT,
                "the management API cannot be asked: alarms, partitions, and what consumers have in hand are not known",
                "enable the plugin, and let connection.management (CRAWL_RABBITMQ_MANAGEMENT) name its address; the "
                "user needs the tag monitoring",
                "rabbitmq-plugins enable rabbitmq_management",
            )
        ]
    running = sum(node.running for node in broker.nodes)
    summary = Finding(Level.OK, SUBJECT, f"version {broker.version}, {running} of {len(broker.nodes)} nodes run")
    found = [finding for node in broker.nodes for finding in _node(node)]
    return [summary, *_version(broker.version), *found, *_blocked(broker)]


def _version(version: str | None) -> Iterator[Finding]:
    known = _numbers(version or "")
    if known and known < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield Finding(
            Level.ERROR, SUBJECT, f"version {version} cannot keep delayed URLs safe", f"upgrade to {oldest} or later"
        )
    elif known and known < OLDEST_MENDED:
        yield Finding(
            Level.OK, SUBJECT, f"version {version} gets no security fixes from its makers; some distributions give them"
        )


def _node(node: NodeFacts) -> Iterator[Finding]:
    if not node.running:
        yield _error(f"{node.name} does not run", "start it", "rabbitmqctl cluster_status")
        return
    if node.memory_alarm:
        yield _error(
            f"{node.name} is short of memory ({_mib(node.memory_bytes)} of {_mib(node.memory_limit_bytes)}): "
            "nobody can publish, on any node",
            "give it memory, or raise vm_memory_high_watermark; crawls go on by themselves",
            "rabbitmq-diagnostics memory_breakdown",
        )
    if node.disk_alarm:
        yield _error(
            f"{node.name} is short of disk ({_mib(node.disk_free_bytes)} free, {_mib(node.disk_limit_bytes)} wanted): "
            "nobody can publish, on any node",
            "make room; crawls go on by themselves",
            "rabbitmq-diagnostics check_local_alarms",
        )
    if node.partitions:
        yield _error(
            f"{node.name} is cut off from {', '.join(node.partitions)}",
            "mend the network, then restart the side that is to take the other's state; cluster_partition_handling = "
            "pause_minority does so by itself",
            "rabbitmqctl cluster_status",
        )


def _blocked(broker: BrokerFacts) -> Iterator[Finding]:
    if broker.blocked:
        shown = ", ".join(broker.blocked[:3])
        more = f" and {len(broker.blocked) - 3:,} more" if len(broker.blocked) > 3 else ""
        yield Finding(
            Level.WARNING,
            SUBJECT,
            f"{len(broker.blocked):,} publishing connections are not read from: {shown}{more}",
            "they wait, and lose nothing; mend what the alarm says",
            "rabbitmqctl list_connections name state",
        )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def _error(text: str, remedy: str, command: str) -> Finding:
    return Finding(Level.ERROR, SUBJECT, text, remedy, command)
