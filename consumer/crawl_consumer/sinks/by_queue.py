"""Which outputs the pages of each queue go to: those of the command line, else those of exchanges.yaml."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.sink import NullSink, Sink
from crawl_consumer.sinks.choosing import Surroundings, sink_for
from crawl_consumer.sinks.several import SeveralSinks
from crawl_producer.rotation import Rotation
from crawl_producer.topology import Topology


def outputs_of(queue: str, settings: ConsumerSettings, topology: Topology) -> tuple[str, ...]:
    """Where items of the pages of ``queue`` go: by the command line, else by its section, else by its crawl's."""
    spec = topology.queues[queue]
    of_the_file = topology.crawls[spec.crawl].outputs if spec.outputs is None else spec.outputs
    return tuple(dict.fromkeys(settings.outputs or of_the_file))


async def open_sinks(
    settings: ConsumerSettings, topology: Topology, around: Surroundings, stack: AsyncExitStack
) -> Mapping[str, Sink]:
    """The sink of each queue of these settings, closed with ``stack``.

    An output that several queues name is opened once: it rotates as the first of their crawls says.

    Raises:
        OutputInvalid, OutputFailed: one cannot be opened.
    """
    opened: dict[str, Sink] = {}
    sinks = {}
    for queue in settings.queues:
        outputs = outputs_of(queue, settings, topology)
        rotation = settings.rotation or topology.crawls[topology.queues[queue].crawl].rotate or Rotation()
        for output in outputs:
            if output not in opened:
                opened[output] = await stack.enter_async_context(sink_for(output, around, rotation))
        sinks[queue] = _together([opened[output] for output in outputs])
    return sinks


def _together(sinks: Sequence[Sink]) -> Sink:
    return (sinks[0] if len(sinks) == 1 else SeveralSinks(sinks)) if sinks else NullSink()
