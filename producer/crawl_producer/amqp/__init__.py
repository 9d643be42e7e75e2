"""The broker's promise kept by RabbitMQ through pika, the only package that imports it."""

from crawl_producer.amqp.admin import open_admin
from crawl_producer.amqp.broker import AmqpBroker
from crawl_producer.amqp.stream import Copy, Place, StreamReader, open_stream

__all__ = ["AmqpBroker", "Copy", "Place", "StreamReader", "open_admin", "open_stream"]
