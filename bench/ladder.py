"""Parks 100,000 messages of mixed delays in the ladder: are all back, each once, and how late?

Lateness is counted from the moment at which a message was handed to the client: it holds publishing, the rung's queue,
dead-lettering with confirms, and consuming. Everything at once is the worst case: real parking is spread over time. Run
it with ``make bench-ladder``.
"""

import argparse
import asyncio
import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field

from crawl_dev.servers import PrivateServers
from crawl_producer import names
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Delivery, Outgoing
from crawl_producer.derive import declarations
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Connection, Topology

QUEUES = ("docs.pages", "news.front", "news.articles")
#: 250 ms to 32 s: what retries and politeness use most.
RUNGS_MS = names.DELAYS_MS[:8]
TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {queue: {"crawl": "c", "bindings": [{"exchange": "x", "key": queue}]} for queue in QUEUES},
        "crawls": {"c": {"exchange": "x", "key": QUEUES[0]}},
    }
)
BATCH = 1000
#: Silence after the longest delay that means: no more will come.
SILENCE_S = 20.0


@dataclass
class Arrivals:
    """What came back: ids with how often, and lateness in milliseconds by rung."""

    times: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    late_ms: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    astray: int = 0
    last_s: float = 0.0

    def __call__(self, delivery: Delivery) -> None:
        self.last_s = time.monotonic()
        sent_s, rung_ms, queue = json.loads(delivery.body)
        self.times[delivery.message_id] += 1
        self.astray += delivery.queue != names.due_queue(queue)
        self.late_ms[rung_ms].append((self.last_s - sent_s) * 1000 - rung_ms)
        delivery.ack()


async def park(broker: AmqpBroker, count: int) -> None:
    chance = random.Random(7)
    for first in range(0, count, BATCH):
        batch = []
        for n in range(first, min(first + BATCH, count)):
            rung_ms, queue = chance.choice(RUNGS_MS), QUEUES[n % len(QUEUES)]
            body = json.dumps([time.monotonic(), rung_ms, queue]).encode()
            batch.append(Outgoing(names.delay_exchange(rung_ms), queue, body, str(n)))
        for failure in await broker.publish_all(batch):
            if failure is not None:
                raise failure


async def measure(connection: Connection, count: int) -> dict[str, object]:
    async with open_admin(connection, name="bench") as admin:
        await apply(await plan(declarations(TOPOLOGY), admin), admin)
    async with AmqpBroker(connection, name="bench") as broker:
        arrivals = Arrivals(last_s=time.monotonic())
        for queue in QUEUES:
            await broker.consume(names.due_queue(queue), prefetch=2000, deliver=arrivals)
        started_s = time.monotonic()
        await park(broker, count)
        parked_s = time.monotonic() - started_s
        longest_s = RUNGS_MS[-1] / 1000
        while len(arrivals.times) < count and time.monotonic() - arrivals.last_s < longest_s + SILENCE_S:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # a second copy of something may be on its way
    return report(arrivals, count, parked_s, arrivals.last_s - started_s)


def report(arrivals: Arrivals, count: int, parked_s: float, seconds: float) -> dict[str, object]:
    everything = [late for rung in arrivals.late_ms.values() for late in rung]
    return {
        "messages": count,
        "lost": count - len(arrivals.times),
        "doubled": sum(times > 1 for times in arrivals.times.values()),
        "astray": arrivals.astray,
        "parked_per_s": round(count / parked_s),
        "seconds": round(seconds, 1),
        "late_ms": lateness(everything),
        "rungs": {str(rung_ms): lateness(arrivals.late_ms[rung_ms]) for rung_ms in RUNGS_MS},
    }


def lateness(late_ms: list[float]) -> dict[str, int]:
    ordered = sorted(late_ms)
    if not ordered:
        return {"count": 0}
    return {
        "count": len(ordered),
        "median": round(ordered[len(ordered) // 2]),
        "p99": round(ordered[len(ordered) * 99 // 100]),
        "max": round(ordered[-1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with PrivateServers(1, redis=False) as servers:
        connection = Connection(nodes=(f"127.0.0.1:{servers.rabbit.nodes[0].port}",))
        result = asyncio.run(measure(connection, options.messages))
    if options.json:
        print(json.dumps(result))
        return
    rungs = result.pop("rungs")
    assert isinstance(rungs, dict)
    print(", ".join(f"{name} {value}" for name, value in result.items()))
    for rung_ms, late in rungs.items():
        print(f"  {int(rung_ms) / 1000:>6} s: late by (ms) {late}")


if __name__ == "__main__":
    main()
