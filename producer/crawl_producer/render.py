"""A topology for people and other tools: a mermaid picture, definitions to import, scripts that do it."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence

from crawl_dedup import RedisRights
from crawl_producer import names
from crawl_producer.declarations import Binding, Declarations
from crawl_producer.rights import RabbitRights
from crawl_producer.topology import BindingSpec, Topology

_ENTITIES = {ord(character): f"#{ord(character)};" for character in '"#<>&`'}

_SCRIPT = """\
#!/bin/sh
# Makes the topology in RabbitMQ's virtual host {vhost}, and a user for each kind of program with what it needs. Run it
# where rabbitmqctl reaches a broker node. Running it again is harmless: nothing is deleted, queues that exist stay as
# they are, even where they differ (`crawl-topology plan` tells), and users keep their passwords.
# A new user has none, and cannot log in until you give it one:
#   rabbitmqctl change_password {first}
# The same users for Redis: crawl-topology render --as redis-acl
set -eu

# In braces, so that sh reads all of it first: rabbitmqctl would swallow the rest of a script that comes by pipe.
{{
rabbitmqctl list_vhosts name --silent | grep -qxF -- {vhost} || rabbitmqctl add_vhost {vhost}

# By a file: import_definitions of RabbitMQ 4.0.5 waits for ever for standard input (rabbitmq-server issue 13157).
# Everybody may read it, because rabbitmqctl becomes the user rabbitmq.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
chmod 644 "$file"
cat >"$file" <<'DEFINITIONS'
{definitions}
DEFINITIONS
rabbitmqctl import_definitions "$file"

# add_user demands a password: one that nobody learns, and that is taken away again.
for user in {users}; do
  rabbitmqctl list_users --silent | cut -f 1 | grep -qxF -- "$user" && continue
  rabbitmqctl add_user "$user" "$(od -An -N 24 -tx1 /dev/urandom | tr -dc 0-9a-f)"
  rabbitmqctl clear_password "$user"
done
{permissions}

rabbitmqctl list_exchanges -p {vhost} name type arguments
rabbitmqctl list_queues -p {vhost} name type arguments messages_ready messages_unacknowledged
rabbitmqctl list_bindings -p {vhost} source_name destination_name destination_kind routing_key
rabbitmqctl list_permissions -p {vhost}
}}
"""


def definitions(wanted: Declarations, vhost: str) -> str:
    """The JSON that ``rabbitmqctl import_definitions`` and the management API take.

    It names the virtual host (which importing makes if need be) and leaves users and permissions alone.

    Source: https://www.rabbitmq.com/docs/definitions.
    """
    durable = {"vhost": vhost, "durable": True, "auto_delete": False}
    content = {
        "vhosts": [{"name": vhost}],
        "exchanges": [
            {"name": x.name, **durable, "type": x.type, "internal": False, "arguments": dict(x.arguments)}
            for x in wanted.exchanges
        ],
        "queues": [{"name": q.name, **durable, "arguments": dict(q.arguments)} for q in wanted.queues],
        "bindings": [_binding(binding, vhost) for binding in wanted.bindings],
    }
    return json.dumps(content, indent=1)


def rabbitmqctl(wanted: Declarations, vhost: str, users: Sequence[RabbitRights]) -> str:
    """A shell script that makes the topology and its users without AMQP, and then shows them."""
    return _SCRIPT.format(
        definitions=definitions(wanted, vhost),
        vhost=shlex.quote(vhost),
        first=users[0].user,
        users=" ".join(rights.user for rights in users),
        permissions="\n".join(line for rights in users for line in permissions(rights, vhost)),
    )


def permissions(rights: RabbitRights, vhost: str) -> Iterator[str]:
    """The commands that give a user its permissions, and take from it whatever else it had there.

    Source: https://www.rabbitmq.com/docs/access-control#user-management.
    """
    patterns = (rights.configure, rights.write, rights.read)
    yield shlex.join(("rabbitmqctl", "set_permissions", "-p", vhost, rights.user, *patterns))
    if rights.tags:
        yield shlex.join(("rabbitmqctl", "set_user_tags", rights.user, *rights.tags))


def redis_acl(users: Iterable[RedisRights]) -> str:
    """The commands that make the users in Redis, for redis-cli; one that is new cannot log in without a password."""
    return "\n".join(rights.command() for rights in users)


def mermaid(topology: Topology) -> str:
    """A flowchart: crawls publish to exchanges, bindings lead to queues, consumers lead back to the crawl.

    Source: https://mermaid.js.org/syntax/flowchart.html.
    """
    return "\n".join(("flowchart LR", *_nodes(topology), *_edges(topology), _plumbing()))


def _binding(binding: Binding, vhost: str) -> dict[str, object]:
    return {
        "source": binding.source,
        "vhost": vhost,
        "destination": binding.destination,
        "destination_type": "exchange" if binding.to_exchange else "queue",
        "routing_key": binding.key,
        "arguments": dict(binding.arguments),
    }


def _nodes(topology: Topology) -> Iterator[str]:
    for crawl in topology.crawls:
        yield f'  {_id("c", crawl)}(["crawl {_text(crawl)}"])'
    for name, exchange in topology.exchanges.items():
        yield f'  {_id("x", name)}{{{{"{_text(name)}<br>{exchange.type}"}}}}'
    for name, queue in topology.queues.items():
        yield f'  {_id("q", name)}["{_text(name)}<br>{queue.type}, group {_text(queue.group)}"]'
    for name in topology.inboxes:
        yield f'  {_id("i", name)}[/"{_text(name)}<br>inbox"/]'
    for crawl in _with_journal(topology):
        yield f'  {_id("j", crawl)}[("{_text(names.journal(crawl))}<br>stream")]'
    for name, items in topology.items.items():
        yield f'  {_id("i", name)}{{{{"{_text(name)}<br>{items.type}"}}}}'
        for readers, of in items.queues.items():
            yield f'  {_id("r", readers)}[("{_text(readers)}<br>{of.type}")]'


def _edges(topology: Topology) -> Iterator[str]:
    yield from _published(topology)
    for name, exchange in topology.exchanges.items():
        for binding in exchange.bindings:
            yield _edge(_id("x", binding.exchange), _label(binding), _id("x", name))
        if exchange.alternate:
            yield f"  {_id('x', name)} -. alternate .-> {_id('x', exchange.alternate)}"
    for name, queue in topology.queues.items():
        for binding in queue.bindings:
            yield _edge(_id("x", binding.exchange), _label(binding), _id("q", name))
        yield f"  {_id('q', name)} -. crawl-consumer .-> {_id('c', queue.crawl)}"
    for name, inbox in topology.inboxes.items():
        for binding in inbox.bindings:
            yield _edge(_id("x", binding.exchange), _label(binding), _id("i", name))
        yield f"  {_id('i', name)} -. crawl-seed .-> {_id('c', inbox.crawl)}"
    for crawl in _with_journal(topology):
        mine = [queue for queue in topology.queues.values() if queue.crawl == crawl]
        for source in dict.fromkeys(binding.exchange for queue in mine for binding in queue.bindings):
            yield f"  {_id('x', source)} -. copies .-> {_id('j', crawl)}"
    yield from _readers(topology)


def _readers(topology: Topology) -> Iterator[str]:
    for name, items in topology.items.items():
        for crawl in _published_by(topology, name):
            yield f"  {_id('c', crawl)} -. items .-> {_id('i', name)}"
        for readers in items.queues:
            yield from (_edge(_id("i", name), key, _id("r", readers)) for key in items.keys_of(readers))


def _with_journal(topology: Topology) -> list[str]:
    return [crawl for crawl, spec in topology.crawls.items() if spec.journal is not None]


def _published_by(topology: Topology, exchange: str) -> list[str]:
    """The crawls that publish items there, as far as the file says so."""
    outputs = {crawl: list(spec.outputs) for crawl, spec in topology.crawls.items()}
    for queue in topology.queues.values():
        outputs[queue.crawl] += queue.outputs or ()
    return [c for c, named in outputs.items() if any(o.partition("/")[0] == f"exchange:{exchange}" for o in named)]


def _plumbing() -> str:
    """What every work queue shares, drawn once instead of once for each queue."""
    unrouted = _id("x", names.UNROUTED)
    return f"""\
  subgraph plumbing ["beside every queue"]
    ladder["{names.delay_queue(names.DELAYS_MS[0])}<br>… {names.delay_queue(names.DELAYS_MS[-1])}"]
    redeliver{{{{"{names.REDELIVER}<br>direct"}}}}
    dead{{{{"{names.DEAD}<br>direct"}}}}
    {unrouted}{{{{"{names.UNROUTED}<br>fanout"}}}}
    ladder -- "time is over" --> redeliver -- "the queue's name" --> due["#lt;queue#gt;.due"]
    dead -- "the queue's name" --> deadq["dead.#lt;queue#gt;"]
    redeliver & dead -. alternate .-> {unrouted} --> unroutedq["{names.UNROUTED}"]
  end"""


def _published(topology: Topology) -> Iterator[str]:
    for crawl, spec in topology.crawls.items():
        start = _id("c", crawl)
        if spec.seed_key is not None:
            yield _edge(start, f"seeds: {spec.seed_key}", _id("x", spec.exchange))
        yield _edge(start, spec.key, _id("x", spec.exchange))
        for route in spec.routes:
            yield _edge(start, f"{route.match}: {route.key}", _id("x", route.exchange or spec.exchange))


def _edge(start: str, label: str, end: str) -> str:
    return f'  {start} -- "{_text(label)}" --> {end}' if label else f"  {start} --> {end}"


def _label(binding: BindingSpec) -> str:
    return ", ".join((*filter(None, [binding.key]), *(f"{k}={v}" for k, v in binding.arguments.items())))


def _id(kind: str, name: str) -> str:
    # Letters and digits as they are, everything else by its code, so that no two names share an identifier.
    return f"{kind}_" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c)}_" for c in name)


def _text(label: str) -> str:
    """``label`` for use between quotes, where mermaid reads #code; as a character and < as HTML."""
    return label.translate(_ENTITIES)
