"""What ``--output`` names, as an output."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crawl_consumer.errors import OutputInvalid
from crawl_consumer.sink import Sink
from crawl_consumer.sinks.exchange import ExchangeSink
from crawl_consumer.sinks.files import FilesSink
from crawl_consumer.sinks.jsonlines import JsonLinesSink
from crawl_consumer.sinks.redis_list import RedisListSink
from crawl_dedup import BatchedRedis
from crawl_producer.broker import Broker
from crawl_producer.rotation import Rotation

_IN_SERIES = (".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst")
_ARCHIVES = (".warc", ".warc.gz")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outputs may need.

    Attributes:
        broker: for items that are published.
        redis: for items in a list; None: there is none, and no exchange that anybody reads either.
        writer: this process, in the names of its files.
    """

    broker: Broker
    redis: BatchedRedis | None
    writer: str


def sink_for(output: str, around: Surroundings, rotation: Rotation) -> Sink:
    """The output that ``output`` names, which begins a new file as ``rotation`` says.

    ====================================  ===============================================================
    ``-``                                 JSON lines on standard output
    ``items.jsonl``                       JSON lines in one file, which many processes may share
    ``items.jsonl.gz``, ``….csv.zst`` …   files of this process' own, rotated, compressed
    ``pages.warc.gz``                     every response, as WARC
    ``sqlite:///items.db`` and the like   a table for each kind of item
    ``exchange:<name>[/<routing key>]``   messages to an exchange
    ``redis:<key>``                       a list in the crawl's Redis
    anything else                         a folder with a file of JSON lines for each process
    ====================================  ===============================================================

    Raises:
        OutputInvalid: what it needs is not installed, or not there, or it names nothing.
    """
    scheme, colon, rest = output.partition(":")
    name = output.lower()
    if "://" in output:
        return _sql(output)
    if colon and scheme in {"exchange", "redis"}:
        if not rest:
            raise OutputInvalid(f"{output!r} names no {scheme}", remedy=f"write {scheme}:<name>")
        return _on_servers(scheme, rest, around)
    if name.endswith(_ARCHIVES):
        return _warc(output, around, rotation)
    if name.endswith(_IN_SERIES):
        return FilesSink(Path(output), writer=around.writer, rotation=rotation)
    if output == "-" or name.endswith(".jsonl"):
        return JsonLinesSink(output)
    return JsonLinesSink(Path(output) / f"{around.writer}.jsonl")


def _on_servers(scheme: str, name: str, around: Surroundings) -> Sink:
    if around.redis is None:
        raise OutputInvalid(f"there is no {scheme} without servers", remedy="name a file, a folder, - or a database")
    exchange, _, key = name.partition("/")
    if scheme == "exchange":
        return ExchangeSink(around.broker, exchange, key)
    return RedisListSink(around.redis, name, writer=around.writer)


def _sql(url: str) -> Sink:
    try:
        from crawl_consumer.sinks.sql import SqlSink  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise OutputInvalid("databases need SQLAlchemy", remedy="pip install 'crawlmq[sql]'") from error
    return SqlSink(url)


def _warc(path: str, around: Surroundings, rotation: Rotation) -> Sink:
    try:
        from crawl_consumer.sinks.warc import WarcSink  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise OutputInvalid("WARC needs warcio", remedy="pip install 'crawlmq[warc]'") from error
    return WarcSink(Path(path), writer=around.writer, rotation=rotation, software=_software())


def _software() -> str:
    try:
        return f"CrawlMQ/{version('crawlmq')}"
    except PackageNotFoundError:  # a checkout that was never installed
        return "CrawlMQ"
