"""A channel to the RabbitMQ of exchanges.yaml, for programs that read items; the crawl-* commands' variables count."""

import pika
from pika.adapters.blocking_connection import BlockingChannel

from crawl_producer.settings import load

#: Items on their way to a reader, which has not acknowledged them yet.
PREFETCH = 100


def channel() -> BlockingChannel:
    """Open one, at whichever node answers."""
    to = load().topology.connection
    credentials = pika.PlainCredentials(to.username, to.password.get_secret_value())
    nodes = [pika.ConnectionParameters(host, port, to.vhost, credentials) for host, port in to.endpoints()]
    opened = pika.BlockingConnection(nodes).channel()
    opened.basic_qos(prefetch_count=PREFETCH)
    return opened
