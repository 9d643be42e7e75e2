"""exchanges.yaml as frozen models: nodes, exchanges, queues, crawls and items, validated before any connection.

The words are RabbitMQ's own where it has one. Units are in the names. Every model forbids unknown keys, so a
typing error is found when the file is read, not when URLs are missing.
"""

from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from crawl_producer.errors import TopologyInvalid
from crawl_producer.seal import Seal
from crawl_producer.topology_canonical import CanonicalSpec
from crawl_producer.topology_hosts import Hosts
from crawl_producer.topology_items import ItemsSpec
from crawl_producer.topology_values import (
    Argument,
    Frozen,
    HttpUrl,
    Key,
    MessageKey,
    Name,
    Network,
    Node,
    Output,
    Pattern,
    Port,
    ProductToken,
    RedisUrl,
    Rotate,
    host_and_port,
)


class Tls(Frozen):
    """TLS to RabbitMQ; paths are PEM files."""

    ca_file: str | None = None  #: None: the system's certificate authorities
    cert_file: str | None = None  #: a client certificate, where the broker asks for one
    key_file: str | None = None  #: its key; None: in cert_file as well

    @model_validator(mode="after")
    def _a_key_needs_its_certificate(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file beside it")
        return self


class Connection(Frozen):
    """How to reach the cluster. Several nodes: whichever answers serves, and the next one takes over."""

    nodes: tuple[Node, ...] = Field(default=("localhost:5672",), min_length=1)
    vhost: str = Field(default="/", min_length=1, max_length=255)
    username: str = "guest"
    password: SecretStr = SecretStr("guest")
    tls: Tls | None = None
    #: the crawls' seals on URL messages, the first one writes; CRAWL_MESSAGE_KEY, separated by commas
    message_keys: tuple[MessageKey, ...] = ()
    sealed: bool = False  #: a command without a key is refused, instead of writing what others then bury
    #: base URL of the management API, which knows unacknowledged messages; None: the first node, port 15672
    management: HttpUrl | None = None
    heartbeat_s: int = Field(default=20, ge=1, le=600)  #: two missed ones and the connection counts as lost
    connect_timeout_s: float = Field(default=3, gt=0)  #: per node, TCP only
    handshake_timeout_s: float = Field(default=6, gt=0)  #: per node, TCP + TLS + AMQP
    retry_first_s: float = Field(default=0.2, gt=0)  #: pause after a round of all nodes, grows with jitter …
    retry_max_s: float = Field(default=30, gt=0)  #: … up to this
    opening_s: float = Field(
        default=5, gt=0
    )  #: at the start, without any node for this long, commands end (exit code 4) …
    give_up_s: float = Field(default=60, gt=0)  #: … and later, when a connection was lost, after this long
    confirm_window: int = Field(default=2000, ge=1)  #: messages published and not yet confirmed, over all channels
    confirm_timeout_s: float = Field(default=60, gt=0)

    def seal(self) -> Seal | None:
        """By which URL messages are sealed and believed; None: there is no key.

        Raises:
            TopologyInvalid: there must be one.
        """
        if self.sealed and not self.message_keys:
            raise TopologyInvalid(
                "connection.sealed: there is no key to seal and to believe messages with",
                remedy="set CRAWL_MESSAGE_KEY to the one that the other commands have",
            )
        return Seal(key.get_secret_value() for key in self.message_keys) if self.message_keys else None

    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """The nodes as (host, port); the port defaults to 5672, or 5671 with TLS."""
        default = 5671 if self.tls else 5672
        return tuple(host_and_port(node, default) for node in self.nodes)


class Redis(Frozen):
    """Where the ledger lives."""

    url: RedisUrl = SecretStr("redis://localhost:6379/0")


class BindingSpec(Frozen):
    """A queue (or exchange) receives what its source exchange gets under ``key``."""

    exchange: Name
    key: Key = ""
    arguments: dict[str, Argument] = Field(default_factory=dict)  #: for headers exchanges


class ExchangeSpec(Frozen):
    """A durable exchange.

    What it cannot route is returned to its publisher, who keeps the URL and reports it. With an ``alternate``
    (another exchange of the file, or ``crawl.unrouted``) it goes there instead and counts as routed.
    """

    type: Literal["direct", "topic", "fanout", "headers"]
    alternate: Name | None = None
    bindings: tuple[BindingSpec, ...] = ()  #: exchange-to-exchange


class SpiderSpec(Frozen):
    """Which spider parses pages, and how it is set; ``module:Class`` alone will do."""

    class_name: Annotated[str, Field(alias="class", min_length=1)]  #: module:Class, or a name that a package brings
    settings: dict[str, Any] = Field(default_factory=dict)  #: for its Settings

    @model_validator(mode="before")
    @classmethod
    def _from_its_name(cls, value: object) -> object:
        return {"class": value} if isinstance(value, str) else value


class QueueSpec(Frozen):
    """A durable work queue and, derived from it, its ``.due`` companion and its ``dead.`` letters."""

    crawl: Name
    group: Name = "main"
    bindings: tuple[BindingSpec, ...] = Field(min_length=1)
    type: Literal["quorum", "classic"] = "quorum"
    delivery_limit: int = Field(default=50, ge=1)  #: redeliveries until the broker dead-letters (quorum only)
    #: ready messages; when full, publishers are refused, old URLs never dropped
    max_length: int | None = Field(default=None, ge=1)
    max_priority: int | None = Field(default=None, ge=1, le=10)  #: classic queues only
    outputs: tuple[Output, ...] | None = None  #: where items of its pages go; None: where the crawl's go
    spider: SpiderSpec | None = None  #: for the pages of this queue; None: the crawl's

    @model_validator(mode="after")
    def _limits_fit_the_type(self) -> Self:
        if self.max_priority is not None and self.type != "classic":
            raise ValueError("max_priority needs type: classic; quorum queues refuse it, in RabbitMQ 4 too")
        if self.type == "classic" and "delivery_limit" in self.model_fields_set:
            raise ValueError("delivery_limit needs type: quorum; classic queues do not count redeliveries")
        return self


class InboxSpec(Frozen):
    """A durable quorum queue that other systems publish URLs to, for ``crawl-seed --inbox``, and its ``dead.`` letters.

    They may publish to the default exchange with the queue's name as key; ``bindings`` are for those who would not.
    """

    crawl: Name
    bindings: tuple[BindingSpec, ...] = ()
    delivery_limit: int = Field(default=50, ge=1)  #: redeliveries until the broker dead-letters


class RouteSpec(Frozen):
    """URLs that match go to another key (and exchange) than the crawl's own; the first match wins."""

    match: Pattern
    key: Key
    exchange: Name | None = None


def _on_or_off(value: object) -> object:
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


class UniqueContentSpec(Frozen):
    """When a host counts as a trap, by what its pages bring; see :mod:`crawl_dedup.novelty`."""

    min_share: float = Field(default=0.05, gt=0, lt=1)  #: fewer of its latest pages brought what none of them had …
    of_last: int = Field(default=1000, ge=10, le=10_000)  #: … of so many

    @property
    def least_new(self) -> int:
        """The same as a number of pages."""
        return ceil(self.min_share * self.of_last)


class ScopeSpec(Frozen):
    """Which links belong to the crawl. Every link that does not is counted by the reason that kept it out."""

    hosts: tuple[str, ...] = ()  #: empty: the host of the seed that a URL descends from
    any_host: bool = False  #: follow links to every host
    subdomains: bool = False  #: hosts below an allowed one are allowed too
    allow: tuple[Pattern, ...] = ()  #: when given, a URL must match one
    deny: tuple[Pattern, ...] = ()  #: a URL that matches one is out
    max_depth: int | None = Field(default=None, ge=0)  #: links away from the seed
    max_pages: int | None = Field(default=None, ge=1)  #: URLs admitted in all
    max_links_per_page: int = Field(default=10_000, ge=1)  #: distinct links in scope that one page may bring
    max_url_chars: int = Field(default=2083, ge=16, le=2083)
    ports: tuple[Port, ...] = ()  #: empty: all but those of other protocols
    # Traps. Each default lets pass what honest sites have; None: no limit.
    max_path_segments: int | None = Field(default=20, ge=1)  #: /a/b/ has two
    max_same_segment: int | None = Field(default=4, ge=1)  #: times that a path may have one segment: three in /a/b/a/a
    max_query_parameters: int | None = Field(default=30, ge=1)
    session_ids: bool = True  #: false: URLs with a session id are out
    max_pages_per_host: int | None = Field(default=None, ge=1)  #: URLs admitted of one host
    unique_content: Annotated[UniqueContentSpec | None, BeforeValidator(_on_or_off)] = None  #: true: with the defaults


class RetrySpec(Frozen):
    """How often a URL that may yet succeed is tried, and how long between: first x factor^n, with jitter."""

    max_attempts: int = Field(default=4, ge=1)
    first_delay_s: float = Field(default=5, gt=0)
    factor: float = Field(default=4, ge=1)
    max_delay_s: float = Field(default=3600, gt=0)


class RobotsSpec(Frozen):
    """What a site may ask of the crawl: in its robots.txt, on its pages and with rel on its links."""

    obey: bool = True  #: robots.txt, by RFC 9309; false: it is not even asked for
    #: our name in robots.txt and in robots directives; None: the User-Agent's leading letters, "-" and "_"
    product_token: ProductToken | None = None
    #: waits between attempts while robots.txt cannot be had and nothing may be fetched; the last one repeats
    retry_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = Field(
        default=(300, 1800, 7200, 43_200), min_length=1
    )
    #: cannot be had for this long: the site counts as having none (RFC 9309, 2.3.1.4)
    unavailable_after_s: float = Field(default=30 * 86_400, gt=0)
    respect_nofollow: bool = True  #: links of pages that say nofollow (X-Robots-Tag, meta robots) stay outside
    respect_noindex: bool = True  #: items of pages that say noindex are not kept
    respect_rel: bool = True  #: links that are only rel=nofollow, ugc or sponsored stay outside


class PolitenessSpec(Frozen):
    """How a host is spared, by all consumers of all crawls together."""

    #: from a host's answer to the next request, at least; 0: as fast as it goes, and nothing below matters
    delay_s: float = Field(default=1.0, ge=0, le=86_400)
    max_in_flight_per_host: int = Field(default=1, ge=1, le=100)
    #: from a server address's answer to its next request, whatever its hosts are called; None: addresses do not matter
    ip_delay_s: float | None = Field(default=None, gt=0, le=86_400)
    latency_factor: float = Field(default=2.0, ge=0, le=100)  #: a host's smoothed latency times this is a delay too
    crawl_delay_cap_s: float = Field(default=120, ge=0, le=86_400)  #: a robots.txt that asks for more gets this
    hold_s: float = Field(default=2.0, gt=0, le=30)  #: shorter waits are held in the consumer, longer ones parked


class LimitsSpec(Frozen):
    """What fetching one page may cost."""

    #: of its body, as sent and as decoded; a longer one is ``too_large``. Each page in flight may hold as much
    body_bytes: int = Field(default=8 << 20, ge=1024, le=1 << 30)
    total_s: float = Field(default=60, gt=0, le=900)  #: from the request to the last byte
    min_bytes_per_s: int = Field(default=1024, ge=0)  #: of its body, on average, after 10 s; 0: as slowly as it likes


class JournalSpec(Frozen):
    """A stream beside a crawl's work queues that keeps a copy of each URL message, for ``crawl-doctor --repair``."""

    #: on each node that has a copy; the oldest messages go first. A message takes about 350 bytes
    max_bytes: int = Field(default=2 << 30, ge=1 << 20)


class CrawlSpec(Frozen):
    """A named job: where its URLs go, what belongs to it, and how much of it is expected."""

    exchange: Name
    key: Key = ""  #: routing key of found links
    seed_key: Key | None = None  #: routing key of seeds, where it differs
    routes: tuple[RouteSpec, ...] = ()
    scope: ScopeSpec = ScopeSpec()
    canonical: CanonicalSpec = CanonicalSpec()
    politeness: PolitenessSpec = PolitenessSpec()
    retry: RetrySpec = RetrySpec()
    robots: RobotsSpec = RobotsSpec()
    limits: LimitsSpec = LimitsSpec()
    journal: Annotated[JournalSpec | None, BeforeValidator(_on_or_off)] = None  #: true: with the default size
    outputs: tuple[Output, ...] = ()  #: where items go, in the words of ``crawl-consumer --output``
    rotate: Rotate | None = None  #: when outputs begin a new file, in the words of ``--rotate``; None: never
    hosts: Hosts = Field(default_factory=dict)  #: header fields, passwords and TLS for some hosts
    allow_networks: tuple[Network, ...] = ()  #: addresses that are fetched from although they are not public
    cookies: bool = False  #: each process sends back to a host what that host has set
    expected_urls: int = Field(default=1_000_000, ge=1)  #: sizes the ledger's buckets; more URLs still work
    spider: SpiderSpec | None = None  #: None: one record a page, and all its links
    user_agent: str | None = None  #: None: CrawlMQ's own, with the project's address


class Topology(Frozen):
    """The whole of exchanges.yaml."""

    connection: Connection = Connection()
    redis: Redis = Redis()
    exchanges: dict[Name, ExchangeSpec]
    queues: dict[Name, QueueSpec]
    crawls: dict[Name, CrawlSpec]
    items: dict[Name, ItemsSpec] = Field(default_factory=dict)  #: by the names of their exchanges
    inboxes: dict[Name, InboxSpec] = Field(default_factory=dict)

    def groups(self, crawl: str) -> tuple[str, ...]:
        """The groups that crawl ``crawl``, each with its own ledger, in the file's order."""
        return tuple(dict.fromkeys(q.group for q in self.queues.values() if q.crawl == crawl))

    def ledger_of(self, queue: str) -> tuple[str, str]:
        """The crawl and group of the messages in a work queue, or in an inbox: there the first group stands for all."""
        if queue in self.queues:
            return self.queues[queue].crawl, self.queues[queue].group
        crawl = self.inboxes[queue].crawl
        return crawl, self.groups(crawl)[0]
