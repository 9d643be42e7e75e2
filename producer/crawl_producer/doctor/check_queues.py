"""Queues: does anybody consume them, are they about to be full, and what has gathered where nobody looks?"""

from collections.abc import Iterator, Mapping

from crawl_producer import names
from crawl_producer.doctor.facts import BrokerFacts, ChannelFacts, QueueFacts
from crawl_producer.doctor.finding import Finding, Level, or_all_is_well
from crawl_producer.topology import Topology

#: Share of max_length from which on a queue counts as nearly full.
NEARLY_FULL = 0.9
#: RabbitMQ closes a channel that has had a message in hand for this long, and hands it out again (``consumer_timeout``;
#: https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout). A node may be configured otherwise.
CONSUMER_TIMEOUT_MS = 1_800_000
#: Dead letters from which on they are a finding: some URLs fail on every site.
MANY_DEAD = 1000


def check(broker: BrokerFacts, topology: Topology) -> list[Finding]:
    """What is wrong with the queues of these crawls, or that nothing is."""
    found = [finding for name, queue in broker.queues.items() for finding in _queue(name, queue, topology)]
    timeout_ms = min(_timeouts_ms(broker), default=CONSUMER_TIMEOUT_MS)
    found += [finding for channel in broker.channels for finding in _channel(channel, timeout_ms)]
    inboxes = [_inbox(name, broker.queues) for name in broker.queues if name in topology.inboxes]
    waiting = sum(queue.ready for name, queue in broker.queues.items() if names.work_queue(name) in topology.queues)
    return [*or_all_is_well(found, "rabbitmq", f"{len(broker.queues):,} queues, {waiting:,} URLs waiting"), *inboxes]


def _queue(name: str, queue: QueueFacts, topology: Topology) -> Iterator[Finding]:
    yield from _by_purpose(name, queue, topology)
    if queue.mirrored:
        yield Finding(
            Level.WARNING,
            name,
            f"the policy {queue.policy} mirrors it: RabbitMQ 4.0 has no mirrored queues any more",
            "let it be a quorum queue (a new one: the type never changes), and clear the policy",
            f"rabbitmqctl clear_policy {queue.policy}",
        )
    if queue.members and queue.online < queue.members:
        majority = queue.members // 2 + 1
        yield Finding(
            Level.WARNING if queue.online >= majority else Level.ERROR,
            name,
            f"{queue.online} of its {queue.members} members run"
            + ("" if queue.online >= majority else ": without a majority it neither takes nor gives messages"),
            "start the nodes that are down",
            "rabbitmqctl cluster_status",
        )


def _by_purpose(name: str, queue: QueueFacts, topology: Topology) -> Iterator[Finding]:
    work = names.work_queue(name)
    if work in topology.queues:
        yield from _work(name, queue, topology.queues[work].crawl)
        if name == work:
            yield from _limit(queue, topology.queues[work].delivery_limit)
    elif name in topology.inboxes:
        yield from _limit(queue, topology.inboxes[name].delivery_limit)
    elif name.startswith(names.dead_queue("")):
        if name.removeprefix(names.dead_queue("")) not in topology.inboxes:  # their letters are told with them
            yield from _dead(queue)
    elif any(name in items.queues for items in topology.items.values()):
        yield from _items(queue)
    elif name == names.UNROUTED and queue.ready:
        yield Finding(
            Level.WARNING,
            name,
            f"{queue.ready:,} messages outlived the queue they were to return to",
            "they are URLs of queues that were removed: publish them again where they belong now, then purge it",
            "crawl-doctor --repair",
        )


def _work(name: str, queue: QueueFacts, crawl: str) -> Iterator[Finding]:
    if queue.ready and not queue.consumers:
        yield Finding(
            Level.WARNING,
            name,
            f"{queue.ready:,} URLs wait and nobody consumes it",
            "start a consumer whose --queue names it",
            f"crawl-consumer --queue {names.work_queue(name)}",
        )
    if queue.max_length and queue.ready >= NEARLY_FULL * queue.max_length:
        yield Finding(
            Level.WARNING,
            name,
            f"{queue.ready:,} of at most {queue.max_length:,} URLs: what it refuses stays with its publisher, and the "
            f"crawl of {crawl} goes no faster than this queue empties",
            "start more consumers, or raise max_length (a new queue: arguments never change)",
        )


def _inbox(name: str, queues: Mapping[str, QueueFacts]) -> Finding:
    """How it is, whether all is well or not: only here can somebody see that a service has not been started."""
    inbox, dead_name = queues[name], names.dead_queue(name)
    dead = queues[dead_name].ready if dead_name in queues else 0
    served = f"{inbox.consumers} crawl-seed" if inbox.consumers else "nobody"
    text = f"{inbox.ready:,} messages wait, {dead:,} dead letters, served by {served}"
    if inbox.ready and not inbox.consumers:
        command = f"crawl-seed --inbox {name} --follow"
        return Finding(Level.WARNING, name, text, "start the service that takes them", command)
    if dead:
        command = f"crawl-dead list --queue {name}"
        return Finding(Level.WARNING, name, text, "tell who writes there what is wrong, then drop them", command)
    return Finding(Level.OK, name, text)


def _items(queue: QueueFacts) -> Iterator[Finding]:
    if queue.max_length and queue.ready >= NEARLY_FULL * queue.max_length:
        readers = f"{queue.consumers} readers" if queue.consumers else "nobody reads them"
        yield Finding(
            Level.WARNING,
            queue.name,
            f"{queue.ready:,} of at most {queue.max_length:,} items, {readers}: when it is full, the crawls that "
            "publish there go no faster than it empties",
            "start more readers",
            f"crawl-items {queue.name}",
        )


def _limit(queue: QueueFacts, wanted: int) -> Iterator[Finding]:
    if queue.delivery_limit is not None and queue.delivery_limit < wanted:
        yield Finding(
            Level.WARNING,
            queue.name,
            f"a policy ({queue.policy or 'of an operator'}) lowers its delivery limit from {wanted} to "
            f"{queue.delivery_limit}: restarts of consumers may bury URLs that are in order",
            "take delivery-limit out of the policy",
            "rabbitmqctl list_policies",
        )


def _dead(queue: QueueFacts) -> Iterator[Finding]:
    if queue.ready >= MANY_DEAD:
        of = queue.name.removeprefix(names.dead_queue(""))
        yield Finding(
            Level.WARNING,
            queue.name,
            f"{queue.ready:,} URLs have failed for good",
            "see why; then replay or drop them",
            f"crawl-dead stats --queue {of}",
        )


def _timeouts_ms(broker: BrokerFacts) -> list[int]:
    return [queue.consumer_timeout_ms for queue in broker.queues.values() if queue.consumer_timeout_ms]


def _channel(channel: ChannelFacts, timeout_ms: int) -> Iterator[Finding]:
    """How old a message in hand is, nobody tells; but it is no younger than the silence on its channel."""
    if channel.idle_s * 1000 < timeout_ms / 2:
        return
    yield Finding(
        Level.WARNING,
        "rabbitmq",
        f"{channel.connection} has {channel.unacked:,} URLs in hand and has been silent for {channel.idle_s:,.0f} s; "
        f"after {timeout_ms / 1000:,.0f} s (consumer_timeout) RabbitMQ hands them out again",
        "is that process frozen? End it: nothing is lost by kill -9",
    )
