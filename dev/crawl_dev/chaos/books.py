"""What Redis and RabbitMQ hold at this moment, asked of the servers themselves and not through the crawler."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import pika
import pika.exceptions

from crawl_dev import ports
from crawl_dev.errors import ServersError
from crawl_dev.management import PASSWORD, USERNAME, Management
from crawl_dev.rabbit_cluster import RabbitCluster
from crawl_dev.redis_replicated import ReplicatedRedis
from crawl_dev.redis_server import RedisServer

CRAWL, QUEUE, MAIN = "chaos", "chaos.pages", "main"
#: Dead letters looked at; far more than any site of a run has pages that die.
_LETTERS = 10_000


@dataclass(frozen=True, slots=True)
class Books:
    """A ledger's counters, and its debts."""

    counts: Counter[str] = field(default_factory=Counter)
    outboxes: int = 0

    @property
    def done(self) -> int:
        """URLs that have ended."""
        return self.counts["admitted"] - self.counts["open"]

    @property
    def complete(self) -> bool:
        """Whether everything that was admitted has ended, and nothing is left to publish."""
        return self.counts["admitted"] > 0 and not self.counts["open"] and not self.outboxes


def together(all_of_them: Sequence[Books]) -> Books:
    """The sums of several groups' books."""
    counts: Counter[str] = Counter()
    for one in all_of_them:
        counts.update(one.counts)
    return Books(counts, sum(one.outboxes for one in all_of_them))


def books(redis: RedisServer | ReplicatedRedis, group: str = MAIN) -> Books | None:
    """A group's books; None while Redis does not answer."""
    words = _ask(redis, f"HGETALL {_ledger(group)}counts")
    outboxes = _ask(redis, f"ZCARD {_ledger(group)}outs")
    if words is None or outboxes is None:
        return None
    counts = Counter({name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)})
    return Books(counts, int(outboxes[0]))


def leftovers(redis: RedisServer | ReplicatedRedis, group: str = MAIN) -> list[str]:
    """A group's outboxes and leases that still exist."""
    return [key for kind in ("out", "lease") for key in _ask(redis, f"KEYS {_ledger(group)}{kind}:*") or ()]


def _ledger(group: str) -> str:
    return f"crawl:{{{CRAWL}/{group}}}:"


def _ask(redis: RedisServer | ReplicatedRedis, line: str) -> list[str] | None:
    """The words of an answer (https://redis.io/docs/latest/develop/reference/protocol-spec/), None without one."""
    answer = ports.ask(redis.port, f"{line}\r\n".encode()).decode()
    if not answer or answer.startswith("-"):
        return None
    if answer.startswith(":"):
        return [answer[1:].strip()]
    return answer.split("\r\n")[2::2]


def ready(rabbit: RabbitCluster, vhost: str) -> dict[str, int]:
    """Messages ready in each queue that is not empty, to the message: statistics would be some seconds old.

    A journal is left out: it keeps its copies for good.

    Raises:
        ServersError: the first node does not answer.
    """
    told = rabbit.nodes[0].management.call("GET", f"queues/{quote(vhost, safe='')}?columns=name")
    names = [queue["name"] for queue in told if queue["name"] != f"journal.{CRAWL}"]
    login = pika.PlainCredentials(USERNAME, PASSWORD)
    where = pika.ConnectionParameters(ports.LOOPBACK, rabbit.nodes[0].port, vhost, login)
    try:
        with pika.BlockingConnection(where) as connection:
            channel = connection.channel()
            depths = {name: channel.queue_declare(name, passive=True).method.message_count for name in names}
    except pika.exceptions.AMQPError as error:
        raise ServersError(f"queues of {vhost}: {error!r}") from error
    return {name: depth for name, depth in depths.items() if depth}


def dead_letters(management: Management, vhost: str, queue: str = QUEUE) -> Counter[str]:
    """The URLs of a work queue's dead letters, each as often as it has one."""
    asked = {"count": _LETTERS, "ackmode": "ack_requeue_true", "encoding": "auto"}
    letters = management.call("POST", f"queues/{quote(vhost, safe='')}/dead.{queue}/get", asked)
    return Counter(json.loads(letter["payload"])["url"] for letter in letters)
