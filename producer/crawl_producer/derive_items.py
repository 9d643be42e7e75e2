"""From the items of exchanges.yaml to what RabbitMQ must hold for them: exchanges, readers' queues, streams."""

from collections.abc import Iterator

from crawl_producer.declarations import Arguments, Binding, Exchange, Queue
from crawl_producer.topology import Topology
from crawl_producer.topology_items import ItemQueueSpec

#: Redeliveries that a reader's queue allows. An item has no dead letters of ours, so it stays until a reader takes it;
#: RabbitMQ 4.0 would drop it after 20.
ANY_NUMBER = 1_000_000
#: A stream forgets by whole segments, so it has so many of them, each as large as RabbitMQ allows at most.
SEGMENTS = 16
MAX_SEGMENT_BYTES = 500_000_000


def item_exchanges(topology: Topology) -> Iterator[Exchange]:
    """One for each kind of readership; without an alternate, so that an item which no queue takes is not lost."""
    for name, spec in topology.items.items():
        yield Exchange(name, spec.type)


def item_queues(topology: Topology) -> Iterator[Queue]:
    """The readers' queues and streams."""
    for spec in topology.items.values():
        for name, queue in spec.queues.items():
            yield Queue(name, stream(queue.max_bytes, queue.max_age_s) if queue.type == "stream" else _quorum(queue))


def item_bindings(topology: Topology) -> Iterator[Binding]:
    """One for each key of each queue."""
    for exchange, spec in topology.items.items():
        for queue in spec.queues:
            yield from (Binding(exchange, queue, key) for key in dict.fromkeys(spec.keys_of(queue)))


def stream(max_bytes: int, max_age_s: int | None = None) -> Arguments:
    """The arguments of a stream that keeps so much.

    Source: https://www.rabbitmq.com/docs/streams#retention.
    """
    segment_bytes = min(max_bytes // SEGMENTS, MAX_SEGMENT_BYTES)
    age: Arguments = {"x-max-age": f"{max_age_s}s"} if max_age_s else {}
    limits: Arguments = {"x-max-length-bytes": max_bytes, "x-stream-max-segment-size-bytes": segment_bytes}
    return {"x-queue-type": "stream", **limits, **age}


def _quorum(spec: ItemQueueSpec) -> Arguments:
    limit: Arguments = {"x-max-length": spec.max_length, "x-overflow": "reject-publish"} if spec.max_length else {}
    return {"x-queue-type": "quorum", "x-delivery-limit": ANY_NUMBER, **limit}
