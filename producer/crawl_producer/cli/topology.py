"""crawl-topology: shows what exchanges.yaml would change in RabbitMQ, makes it, checks it, draws it."""

import json
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from crawl_producer import command, render, rights
from crawl_producer.amqp import open_admin
from crawl_producer.command import DebugOption, ExitCode, JsonOption, TopologyOption
from crawl_producer.declarations import Exchange, Queue, State
from crawl_producer.derive import declarations
from crawl_producer.plan import Plan, Step, apply, plan
from crawl_producer.settings import LoadedTopology

_PROGRAM = "crawl-topology"
_STYLES = {State.MISSING: "yellow", State.SAME: "green", State.DIFFERENT: "red"}
_NOT_SHOWN = "which AMQP cannot show and apply makes anew"

app = typer.Typer(
    name=_PROGRAM,
    help="Exchanges, queues and bindings of exchanges.yaml in RabbitMQ. Nothing here ever deletes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Form(Enum):
    """What render prints."""

    MERMAID = "mermaid"
    RABBITMQCTL = "rabbitmqctl"
    DEFINITIONS = "definitions"
    REDIS_ACL = "redis-acl"


LiveOption = Annotated[bool, typer.Option("--live", help="Compare with RabbitMQ as well.", show_default=False)]
FormOption = Annotated[Form, typer.Option("--as", help="What to print.")]


@app.command(
    "plan",
    epilog=command.examples(
        "crawl-topology plan",
        "crawl-topology plan --json | jq .complete",
    ),
)
def plan_command(topology: TopologyOption = None, *, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show what apply would do. Changes nothing, and exits 0 whatever it finds."""
    loaded = command.load_or_exit(_PROGRAM, topology, debug=debug)
    command.run(_PROGRAM, partial(_plan, loaded, as_json=as_json), debug=debug)


@app.command(
    "apply",
    epilog=command.examples(
        "crawl-topology apply",
        "CRAWL_RABBITMQ_NODES=rabbit1,rabbit2 crawl-topology apply --topology exchanges.yaml",
    ),
)
def apply_command(topology: TopologyOption = None, *, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Declare what is missing and bind everything; exits 11 if something exists in another form."""
    loaded = command.load_or_exit(_PROGRAM, topology, debug=debug)
    command.run(_PROGRAM, partial(_apply, loaded, as_json=as_json), debug=debug)


@app.command(
    "check",
    epilog=command.examples(
        "crawl-topology check --topology exchanges.yaml",
        "crawl-topology check --live && crawl-consumer --queue 'news.*'",
    ),
)
def check_command(
    topology: TopologyOption = None,
    *,
    live: LiveOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Name every mistake in the file (exit 3); with --live exit 11 if RabbitMQ differs from it."""
    loaded = command.load_or_exit(_PROGRAM, topology, debug=debug)
    command.run(_PROGRAM, partial(_check, loaded, live=live, as_json=as_json), debug=debug)


@app.command(
    "render",
    epilog=command.examples(
        "crawl-topology render > topology.mmd",
        "crawl-topology render --as rabbitmqctl | sudo sh",
        "crawl-topology render --as definitions > /tmp/crawl.json && rabbitmqctl import_definitions /tmp/crawl.json",
        "crawl-topology render --as redis-acl | redis-cli -h redis1",
    ),
)
def render_command(
    form: FormOption = Form.MERMAID, *, topology: TopologyOption = None, debug: DebugOption = False
) -> None:
    """Print the topology as a picture, as a script for rabbitmqctl or as definitions; or the users for Redis.

    The script also makes a user for each kind of program, with what it needs and no password yet.
    """
    loaded = command.load_or_exit(_PROGRAM, topology, debug=debug)
    command.run(_PROGRAM, partial(_render, loaded, form), debug=debug)


async def _plan(loaded: LoadedTopology, *, as_json: bool) -> None:
    _show_plan(loaded, await _compared(loaded), as_json=as_json)


async def _apply(loaded: LoadedTopology, *, as_json: bool) -> ExitCode:
    async with open_admin(loaded.topology.connection) as admin:
        applied = await apply(await plan(declarations(loaded.topology), admin), admin)
    if as_json:
        _print_json(
            _about(loaded),
            declared=[_named(thing) for thing in applied.declared],
            bindings=applied.bound,
            different=[_as_dict(step) for step in applied.different],
        )
    else:
        _print_heading(loaded)
        _print_steps("declared", "green", [Step(thing, State.SAME) for thing in applied.declared])
        _print_steps("different", "red", applied.different)
        _print(f"{len(applied.declared)} declared, {applied.bound} bound, {len(applied.different)} different")
    return ExitCode.TOPOLOGY_DIFFERS if applied.different else ExitCode.DONE


async def _check(loaded: LoadedTopology, *, live: bool, as_json: bool) -> ExitCode:
    if live:
        compared = await _compared(loaded)
        _show_plan(loaded, compared, as_json=as_json)
        return ExitCode.DONE if compared.complete else ExitCode.TOPOLOGY_DIFFERS
    topology = loaded.topology
    counts = {
        "exchanges": len(topology.exchanges),
        "queues": len(topology.queues),
        "crawls": len(topology.crawls),
        "items": len(topology.items),
    }
    if topology.inboxes:
        counts["inboxes"] = len(topology.inboxes)
    if as_json:
        _print_json(_about(loaded), **counts)
    else:
        _print_heading(loaded)
        _print("in order: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    return ExitCode.DONE


async def _render(loaded: LoadedTopology, form: Form) -> None:
    topology = loaded.topology
    match form:
        case Form.MERMAID:
            print(render.mermaid(topology))
        case Form.DEFINITIONS:
            print(render.definitions(declarations(topology), topology.connection.vhost))
        case Form.RABBITMQCTL:
            users = rights.in_rabbitmq(topology)
            print(render.rabbitmqctl(declarations(topology), topology.connection.vhost, users), end="")
        case Form.REDIS_ACL:
            print(render.redis_acl(rights.in_redis(topology)))


async def _compared(loaded: LoadedTopology) -> Plan:
    async with open_admin(loaded.topology.connection) as admin:
        return await plan(declarations(loaded.topology), admin)


def _show_plan(loaded: LoadedTopology, compared: Plan, *, as_json: bool) -> None:
    bindings = len(compared.wanted.bindings)
    if as_json:
        steps = [_as_dict(step) for step in compared.steps]
        _print_json(_about(loaded), complete=compared.complete, bindings=bindings, steps=steps)
        return
    _print_heading(loaded)
    for state in (State.MISSING, State.DIFFERENT):
        _print_steps(state.value, _STYLES[state], compared.in_state(state))
    counts = Counter(step.state for step in compared.steps)
    _print(", ".join(f"{counts[state]} {state.value}" for state in State) + f"; {bindings} bindings, {_NOT_SHOWN}")
    if counts[State.DIFFERENT]:
        _print("what differs cannot be changed: drain it, delete it with rabbitmqctl, then apply")


def _print_heading(loaded: LoadedTopology) -> None:
    _print(f"{loaded.path} ({loaded.chosen_by}), virtual host {loaded.topology.connection.vhost}")


def _print_steps(word: str, style: str, steps: Iterable[Step]) -> None:
    for step in steps:
        line = Text.assemble((f"{word:<10}", style), f"{_kind(step.thing):<9} ", step.thing.name)
        _print(line.append(f"  {step.detail}", "dim") if step.detail else line)


def _print(line: str | Text) -> None:
    # No wrapping: the lines of a pipe are for grep, and a terminal wraps by itself.
    Console(highlight=False).print(line, soft_wrap=True, markup=False)


def _print_json(about: dict[str, object], **more: object) -> None:
    print(json.dumps({**about, **more}, indent=2))


def _about(loaded: LoadedTopology) -> dict[str, object]:
    return {
        "file": str(loaded.path),
        "chosen_by": loaded.chosen_by,
        "vhost": loaded.topology.connection.vhost,
    }


def _as_dict(step: Step) -> dict[str, str]:
    return {**_named(step.thing), "state": step.state.value, "detail": step.detail}


def _named(thing: Exchange | Queue) -> dict[str, str]:
    return {"kind": _kind(thing), "name": thing.name}


def _kind(thing: Exchange | Queue) -> str:
    return type(thing).__name__.lower()


def main() -> None:
    """The console script."""
    app()
