"""The plain publisher: pika as its manual shows it, on uvloop, into one quorum queue, confirmed; nothing is remembered.

It says what a client of this kind can publish at all on this machine just now. ``plain.py AMQP_URL MESSAGES`` prints
JSON: messages a second from the first one sent to the last one confirmed, CPU microseconds for one, and peak memory.
"""

import asyncio
import json
import resource
import sys
import time
from typing import Any

import uvloop
from pika import BasicProperties, URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

QUEUE = "plain"
#: Messages sent and not yet confirmed: as many as CrawlMQ allows itself.
WINDOW = 2000
BODY = b"." * 100
PERSISTENT = BasicProperties(delivery_mode=2)


class Publisher:
    """Keeps WINDOW messages unconfirmed until ``messages`` are confirmed."""

    def __init__(self, channel: Channel, messages: int) -> None:
        self.channel, self.messages = channel, messages
        self.sent = self.confirmed = 0
        self.done = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self.channel.add_on_close_callback(lambda _, error: self.done.done() or self.done.set_exception(error))
        self.channel.confirm_delivery(self.on_confirm)
        self.fill()

    def fill(self) -> None:
        while self.sent < self.messages and self.sent - self.confirmed < WINDOW:
            self.channel.basic_publish("", QUEUE, BODY, PERSISTENT, mandatory=True)
            self.sent += 1

    def on_confirm(self, frame: Any) -> None:
        method = frame.method
        if method.NAME != "Basic.Ack":
            raise SystemExit(f"RabbitMQ refused a message: {method}")
        # One queue on one node confirms in order; else this would count too few, and end by its caller's patience.
        self.confirmed = method.delivery_tag if method.multiple else self.confirmed + 1
        self.fill()
        if self.confirmed == self.messages:
            self.done.set_result(None)


async def publish(url: str, messages: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[Channel] = loop.create_future()
    declared: asyncio.Future[object] = loop.create_future()
    connection = AsyncioConnection(
        URLParameters(url),
        on_open_callback=lambda connection: connection.channel(on_open_callback=opened.set_result),
        on_open_error_callback=lambda _, error: opened.set_exception(error),
        custom_ioloop=loop,
    )
    channel = await opened
    quorum = {"x-queue-type": "quorum"}
    channel.queue_declare(QUEUE, durable=True, arguments=quorum, callback=declared.set_result)
    await declared
    publisher, began_s, used_s = Publisher(channel, messages), time.monotonic(), time.process_time()
    publisher.start()
    await publisher.done
    took_s, used_s = time.monotonic() - began_s, time.process_time() - used_s
    connection.close()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"per_s": messages / took_s, "cpu_us": used_s * 1e6 / messages, "peak_mib": peak_mib}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(publish(sys.argv[1], int(sys.argv[2])))))
