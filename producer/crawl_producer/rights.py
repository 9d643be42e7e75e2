"""Who may do what: one user for each kind of program, in RabbitMQ and in Redis, with exactly what it needs.

=================  ========================================  =============================================
user               programs                                  may
=================  ========================================  =============================================
``crawl-seed``     crawl-seed                                publish URLs; read inboxes
``crawl-consumer`` crawl-consumer                            read work queues; publish URLs, delays, dead
                                                             letters and items
``crawl-operator`` crawl-topology, -status, -dead, -doctor,  declare, read and write all that the file
                   -forget                                   names, and nothing else
``crawl-reader``   crawl-items, and whoever reads items      read the queues of items
=================  ========================================  =============================================

RabbitMQ matches a regular expression against the name of an exchange or queue for each of configure, write and read;
a passive declaration, by which a queue's depth is asked, takes none of them up to 4.2, and any one since 4.3.1.
Source: https://www.rabbitmq.com/docs/access-control#authorisation.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from crawl_dedup import LedgerName, RedisRights, redis_rights
from crawl_producer import names
from crawl_producer.derive import declarations
from crawl_producer.topology import Topology

SEED, CONSUMER, OPERATOR, READER = "crawl-seed", "crawl-consumer", "crawl-operator", "crawl-reader"

#: Matches no name: RabbitMQ has no empty ones, and the default exchange counts as amq.default.
_NONE = "^$"
#: Every rung of the ladder, exchange and queue.
_RUNGS = r"crawl\.delay\.[0-9]+"
_REDIS_LIST = "redis:"


@dataclass(frozen=True, slots=True)
class RabbitRights:
    """One user's permissions in a virtual host, as regular expressions.

    Attributes:
        user: its name.
        configure: exchanges and queues that it may declare and delete.
        write: exchanges that it may publish to, queues that it may bind.
        read: queues that it may consume and purge, exchanges that it may bind to.
        tags: what it may see in the management API.
    """

    user: str
    configure: str = _NONE
    write: str = _NONE
    read: str = _NONE
    tags: tuple[str, ...] = ()


def in_rabbitmq(topology: Topology) -> tuple[RabbitRights, ...]:
    """Every user's permissions; ``crawl-reader`` only where there are items."""
    exchanges, inboxes = list(topology.exchanges), list(topology.inboxes)
    work = [name for queue in topology.queues for name in (queue, names.due_queue(queue))]
    dead_inboxes = [names.DEAD] if inboxes else []
    everything = _any_of([thing for thing in _declared(topology) if not thing.startswith("crawl.delay.")], _RUNGS)
    rights = [
        RabbitRights(SEED, write=_any_of([*exchanges, *dead_inboxes], _RUNGS), read=_any_of(inboxes)),
        RabbitRights(CONSUMER, write=_any_of([*exchanges, *topology.items, names.DEAD], _RUNGS), read=_any_of(work)),
        RabbitRights(OPERATOR, everything, everything, everything, tags=("monitoring",)),
    ]
    if readers := [queue for items in topology.items.values() for queue in items.queues]:
        rights.append(RabbitRights(READER, read=_any_of(readers)))
    return tuple(rights)


def in_redis(topology: Topology) -> tuple[RedisRights, ...]:
    """Every user's rights in the Redis of the ledgers. Raises LedgerRefused: its URL cannot be read."""
    ledgers = [LedgerName(crawl, group) for crawl in topology.crawls for group in topology.groups(crawl)]
    database = redis_rights.database_of(topology.redis.url.get_secret_value())
    return (
        redis_rights.seeder(SEED, ledgers, database=database),
        redis_rights.consumer(CONSUMER, ledgers, lists=_lists(topology), database=database),
        redis_rights.operator(OPERATOR, database=database),
    )


def _declared(topology: Topology) -> Iterable[str]:
    wanted = declarations(topology)
    return dict.fromkeys([x.name for x in wanted.exchanges] + [q.name for q in wanted.queues])


def _lists(topology: Topology) -> Iterable[str]:
    """The Redis lists that the file's outputs name; those of a command line are the operator's to add."""
    named = [output for crawl in topology.crawls.values() for output in crawl.outputs]
    named += [output for queue in topology.queues.values() for output in queue.outputs or ()]
    return dict.fromkeys(output.removeprefix(_REDIS_LIST) for output in named if output.startswith(_REDIS_LIST))


def _any_of(exact: Iterable[str], *patterns: str) -> str:
    """A regular expression for exactly these names; a name of ours has no other special character than the dot."""
    words = [*(name.replace(".", r"\.") for name in exact), *patterns]
    return f"^({'|'.join(words)})$" if words else _NONE
