"""What items travel through in exchanges.yaml: exchanges that crawls publish them to, and their readers' queues.

Items are the answers of a crawl, not its work: their exchanges and queues have no companions and no delays, and whoever
reads them settles them as he likes.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from crawl_producer.topology_values import Frozen, Key, Name


class ItemQueueSpec(Frozen):
    """A durable queue with a copy of each item that it is bound for.

    A quorum queue is for one group of readers, who share its items: each takes some, and an item that was acknowledged
    is gone. A stream keeps what it has for as long as it is told, and any number of readers begin where they like.
    """

    type: Literal["quorum", "stream"] = "quorum"
    #: routing keys that it is bound with; patterns at a topic exchange, where none means all
    keys: tuple[Key, ...] = ()
    #: items waiting in a quorum queue; when full, its publishers wait, and the crawl goes as fast as the readers
    max_length: int | None = Field(default=None, ge=1)
    #: of a stream on each node that has a copy; the oldest items go first
    max_bytes: int = Field(default=2 << 30, ge=1 << 20)
    #: items of a stream that are older go, whole segments at a time; None: of any age
    max_age_s: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _limits_fit_the_type(self) -> Self:
        if self.type == "stream" and self.max_length is not None:
            raise ValueError("max_length needs type: quorum; a stream forgets its oldest: give max_bytes or max_age_s")
        if self.type == "quorum" and {"max_bytes", "max_age_s"} & self.model_fields_set:
            raise ValueError("max_bytes and max_age_s need type: stream; a quorum queue never forgets: give max_length")
        return self


class ItemsSpec(Frozen):
    """A durable exchange that items are published to (``outputs: [exchange:<its name>]``), and its queues."""

    type: Literal["fanout", "topic", "direct"] = "fanout"
    queues: dict[Name, ItemQueueSpec] = Field(min_length=1)  #: an item that no queue takes would stop the crawl

    def keys_of(self, queue: str) -> tuple[str, ...]:
        """The routing keys that ``queue`` is bound with."""
        return self.queues[queue].keys or (("#",) if self.type == "topic" else ("",))
