"""What one ``crawl-consumer`` was asked to do: built once at the edge, passed down, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from crawl_producer.rotation import Rotation

#: Deliveries worked on at once by one process: enough to keep one core busy with pages of a few milliseconds.
DEFAULT_CONCURRENCY = 32
#: After the first signal, what is in flight may take this long; the rest returns to the broker.
DEFAULT_SHUTDOWN_S = 30.0


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """Settings of one consumer process.

    Attributes:
        queues: the matched work queues, at least one.
        concurrency: deliveries worked on at once.
        spider: the spider of all queues, as :func:`crawl_consumer.spiders.loading.load_spider` finds it; None: those
            that exchanges.yaml names.
        file: where exchanges.yaml is, for errors that are found later.
        outputs: where items go, see :func:`crawl_consumer.sinks.choosing.sink_for`; none: where exchanges.yaml says.
        rotation: when outputs begin a new file; None: when exchanges.yaml says.
        until_done: stop when every crawl served here is complete.
        shutdown_s: seconds that work in flight may take after the first signal.
        hosts: addresses of names that DNS is not asked for.
        cache: the folder of responses that need not be fetched (:mod:`crawl_consumer.response_cache`); None: none.
        secrets: by the variables that the crawls' ``hosts:`` name.
    """

    queues: tuple[str, ...]
    concurrency: int = DEFAULT_CONCURRENCY
    spider: str | None = None
    file: Path | None = None
    outputs: tuple[str, ...] = ()
    rotation: Rotation | None = None
    until_done: bool = False
    shutdown_s: float = DEFAULT_SHUTDOWN_S
    hosts: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
