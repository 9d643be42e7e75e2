"""What can go wrong on the way into RabbitMQ, by what the caller can do next.

::

    CrawlError                      (crawl_dedup.errors)
    └── ProducerError
        ├── TopologyInvalid         exchanges.yaml is wrong: mend the file
        ├── UnknownName             no such crawl, queue or exchange in exchanges.yaml
        ├── TopologyMissing         RabbitMQ lacks a queue or exchange: crawl-topology apply
        ├── TopologyDrift           RabbitMQ holds one with other, immutable arguments
        ├── SeedsUnreadable         the file of URLs cannot be read: mend it and run again
        ├── TimesInvalid            seeds with times that contradict each other
        ├── OutputNotWritable       a file or standard output cannot be written: make room, name another
        ├── NotSeeded               nothing was ever admitted to this crawl: seed it
        ├── CrawlTimeout            not complete in the time that was given: wait longer
        ├── BrokerUnreachable       no node answers: wait or start one
        ├── BrokerRefused           a node answers no: credentials, vhost, permissions
        ├── MessageInvalid          bytes that are no URL message: dead letter, with the reason
        ├── RouteInvalid            a spider's own route leads nowhere, or into another crawl: mend the spider
        └── PublishFailed           not known to be in a queue: keep it in the outbox
            ├── Unroutable          no queue is bound for this exchange and key
            ├── PublishRefused      a queue said no (nack): full, or an internal error
            └── Unconfirmed         the connection went before the confirm came: may or may not be there
"""

from crawl_dedup.errors import CrawlError


class ProducerError(CrawlError):
    """Something on the way into RabbitMQ failed."""


class TopologyInvalid(ProducerError):
    """exchanges.yaml cannot be used; the message names the file, the key path and what would be right."""

    exit_code = 3


class UnknownName(ProducerError):
    """A name that exchanges.yaml does not know; the remedy lists those that it does."""

    exit_code = 9


class TopologyMissing(ProducerError):
    """RabbitMQ has no such queue or exchange yet."""

    exit_code = 11


class TopologyDrift(ProducerError):
    """RabbitMQ holds a queue or exchange of this name with other arguments, which can never be changed."""

    exit_code = 11


class SeedsUnreadable(ProducerError):
    """The file of URLs cannot be opened, or breaks off; what was read before is admitted, and running again is safe."""

    exit_code = 2


class TimesInvalid(ProducerError):
    """The times that seeds are to have contradict each other."""

    exit_code = 2


class OutputNotWritable(ProducerError):
    """What a command has to say cannot be written down."""

    exit_code = 12


class NotSeeded(ProducerError):
    """Waiting for the end of a crawl that was never begun would wait for ever."""

    exit_code = 15


class CrawlTimeout(ProducerError):
    """The crawl goes on, but whoever waited gave it no more time."""

    exit_code = 14


class BrokerUnreachable(ProducerError):
    """No RabbitMQ node could be reached; the message lists each node with its reason."""

    exit_code = 4


class BrokerRefused(ProducerError):
    """A RabbitMQ node answered and said no: credentials, virtual host or permissions. Retrying cannot help."""

    exit_code = 5


class MessageInvalid(ProducerError):
    """Bytes that are not a URL message of a version we know; the message is the reason for the dead letter."""


class RouteInvalid(ProducerError):
    """A spider names an exchange and key that do not lead to its crawl's queues."""

    exit_code = 10


class PublishFailed(ProducerError):
    """A message is not known to be in a queue; whoever holds it must keep it."""


class Unroutable(PublishFailed):
    """RabbitMQ returned the message: no queue is bound for its exchange and routing key."""

    exit_code = 10


class PublishRefused(PublishFailed):
    """RabbitMQ nacked the message: a queue is full (reject-publish) or failed internally."""


class Unconfirmed(PublishFailed):
    """No confirm came: the message may or may not be there. Publish it again with the same message id."""
