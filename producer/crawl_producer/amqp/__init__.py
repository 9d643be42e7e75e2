"""The broker's promise kept by RabbitMQ through pika, the only package that imports it."""

from crawl_producer.amqp.admin import open_admin
from crawl_producer.amqp.broker import AmqpBroker

__all__ = ["AmqpBroker", "open_admin"]
