"""One message in hand, bound to the channel it came on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pika import BasicProperties

from crawl_producer.amqp.acknowledgements import Acknowledgements
from crawl_producer.seal import Seal

#: AMQP carries a message's id behind one length byte.
_MAX_ID_CHARS = 255


def id_of(properties: BasicProperties) -> str:
    """A message's id, which may be published again; pika hands over bytes where a stranger's is no UTF-8."""
    message_id = properties.message_id or ""
    return message_id if isinstance(message_id, str) else ascii(message_id)[:_MAX_ID_CHARS]


@dataclass(slots=True)
class Settlements:
    """Counts shared by the deliveries of one client."""

    delivered: int = 0
    acked: int = 0
    stale_acks: int = 0


@dataclass(slots=True, eq=False)
class AmqpDelivery:
    """See :class:`crawl_producer.broker.Delivery`.

    A delivery tag means something only on the channel that brought it; on any other it would close that
    channel (406). So the channel comes along, and when it is gone nothing is sent.
    """

    queue: str
    body: bytes
    redelivered: bool
    _properties: BasicProperties
    _settling: Acknowledgements
    _tag: int
    _counts: Settlements
    _seal: Seal | None = None
    _settled: bool = field(default=False, init=False)

    def __repr__(self) -> str:
        return f"<AmqpDelivery {self.message_id!r} from {self.queue}, tag {self._tag} of {self._settling.channel!r}>"

    @property
    def message_id(self) -> str:
        """The publisher's id, or an empty string."""
        return id_of(self._properties)

    @property
    def doubt(self) -> str:
        """See :attr:`crawl_producer.broker.Delivery.doubt`."""
        return "" if self._seal is None else self._seal.doubt(self.headers, self.body)

    @property
    def headers(self) -> Mapping[str, object]:
        """The message's headers, the broker's own included."""
        return self._properties.headers or {}

    @property
    def stale(self) -> bool:
        """Whether its channel is gone."""
        return not self._settling.channel.is_open

    def ack(self) -> bool:
        """Settle it for good. Raises RuntimeError on a second settlement."""
        if not self._settle():
            return False
        self._settling.ack(self._tag)
        self._counts.acked += 1
        return True

    def requeue(self) -> bool:
        """Give it back to its queue. Raises RuntimeError on a second settlement."""
        if not self._settle():
            return False
        self._settling.requeue(self._tag)
        return True

    def _settle(self) -> bool:
        if self._settled:
            raise RuntimeError(f"{self!r} is settled already; a second time would close its channel")
        self._settled = True
        if self.stale:
            self._counts.stale_acks += 1
            return False
        return True
