"""crawl-dead: look at the URLs that failed for good, crawl them again, or drop them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer import command, dead_ends, dead_render, opening
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Broker
from crawl_producer.cli.dead_options import (
    CrawlOption,
    HostOption,
    LimitOption,
    NewerOption,
    OlderOption,
    QueueOption,
    ReasonOption,
    TopOption,
    YesOption,
)
from crawl_producer.command import DebugOption, ExitCode, JsonOption, TopologyOption
from crawl_producer.dead_ends import Ended
from crawl_producer.dead_letters import Wanted, queues_of
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.dead_search import BATCH, Act, Held, search
from crawl_producer.dead_stats import DeadStats
from crawl_producer.errors import UnknownName
from crawl_producer.topology import Topology

PROGRAM = "crawl-dead"
#: The progress bar moves once for so many letters: drawing costs more than reading.
_SHOWN_EVERY = 100

app = typer.Typer(
    name=PROGRAM,
    help="URLs that failed for good: look at them, crawl them again, or drop them. May be killed at any instant.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command(
    "list",
    epilog=command.examples(
        "crawl-dead list --limit 20",
        "crawl-dead list --crawl news --reason 'http_5*' --newer-than 2h",
        "crawl-dead list --queue 'docs.*' --json | jq -r .url",
    ),
)
def list_command(
    queue: QueueOption = None, crawl: CrawlOption = None, reason: ReasonOption = None, host: HostOption = None,
    older_than: OlderOption = None, newer_than: NewerOption = None, limit: LimitOption = None, *,
    as_json: JsonOption = False, topology: TopologyOption = None, debug: DebugOption = False,
) -> None:  # fmt: skip
    """List dead letters, oldest first, one a line; with --json one object a line."""
    asked = _asked(topology, debug, queue, crawl, _wanted(reason, host, older_than, newer_than), limit)

    async def show(_: DeadQueue, held: Sequence[Held]) -> None:
        for _delivery, letter in held:
            print(json.dumps(letter.as_dict()) if as_json else dead_render.line(letter))

    async def main() -> None:
        if not as_json:
            print(dead_render.HEADER)
        async with _broker(asked) as broker:
            await asked.search(broker, show, batch=1, quiet=as_json)

    command.run(PROGRAM, main, debug=debug)


@app.command(
    "show",
    epilog=command.examples(
        "crawl-dead show https://example.org/broken",
        "crawl-dead show 2f.-81985529216486896 --json | jq .body",
    ),
)
def show_command(
    letter: Annotated[str, typer.Argument(help="A URL, or a message id from list --json.", show_default=False)],
    queue: QueueOption = None, crawl: CrawlOption = None, *,
    as_json: JsonOption = False, topology: TopologyOption = None, debug: DebugOption = False,
) -> None:  # fmt: skip
    """Show all that is known of a dead letter, its message included; exits 9 if there is none."""
    asked = _asked(topology, debug, queue, crawl, Wanted(id=_canonical(letter)), None)
    shown: list[dict[str, object]] = []

    async def keep(_: DeadQueue, held: Sequence[Held]) -> None:
        shown.extend(dead_render.whole(delivery, found) for delivery, found in held)

    async def main() -> None:
        async with _broker(asked) as broker:
            await asked.search(broker, keep, quiet=as_json)
        if not shown:
            raise UnknownName(f"no dead letter of {letter}", remedy="crawl-dead list shows those that there are")
        print(json.dumps(shown) if as_json else "\n\n".join(dead_render.fields(one) for one in shown))

    command.run(PROGRAM, main, debug=debug)


@app.command(
    "stats",
    epilog=command.examples(
        "crawl-dead stats",
        "crawl-dead stats --crawl news --top 3 --json | jq .reasons",
    ),
)
def stats_command(
    queue: QueueOption = None, crawl: CrawlOption = None, reason: ReasonOption = None, host: HostOption = None,
    older_than: OlderOption = None, newer_than: NewerOption = None, top: TopOption = 10, *,
    as_json: JsonOption = False, topology: TopologyOption = None, debug: DebugOption = False,
) -> None:  # fmt: skip
    """Count dead letters by queue, reason, host and age."""
    asked = _asked(topology, debug, queue, crawl, _wanted(reason, host, older_than, newer_than), None)
    stats = DeadStats(_now_ms())

    async def count(_: DeadQueue, held: Sequence[Held]) -> None:
        for _delivery, letter in held:
            stats.add(letter)

    async def main() -> None:
        async with _broker(asked) as broker:
            await asked.search(broker, count, quiet=as_json)
        print(json.dumps(stats.as_dict(top)) if as_json else dead_render.counted(stats.as_dict(top)))

    command.run(PROGRAM, main, debug=debug)


@app.command(
    "replay",
    epilog=command.examples(
        "crawl-dead replay --crawl news --reason 'http_5*'",
        "crawl-dead replay --queue 'docs.*' --host example.org --limit 100 --yes --json",
    ),
)
def replay_command(
    queue: QueueOption = None, crawl: CrawlOption = None, reason: ReasonOption = None, host: HostOption = None,
    older_than: OlderOption = None, newer_than: NewerOption = None, limit: LimitOption = None, *,
    yes: YesOption = False, as_json: JsonOption = False, topology: TopologyOption = None, debug: DebugOption = False,
) -> None:  # fmt: skip
    """Crawl dead letters again, as if for the first time. Killed and run again it loses and doubles nothing.

    What is no message of its crawl cannot be replayed: it stays, and the exit code is 10. Letters of inboxes are not
    looked at: publish them anew, mended.
    """
    asked = _asked(topology, debug, queue, crawl, _wanted(reason, host, older_than, newer_than), limit, inboxes=False)

    command.run(PROGRAM, partial(_end, asked, dead_ends.replay, "Replay", yes=yes, as_json=as_json), debug=debug)


@app.command(
    "drop",
    epilog=command.examples(
        "crawl-dead drop --older-than 30d",
        "crawl-dead drop --reason undecodable --yes --json",
    ),
)
def drop_command(
    queue: QueueOption = None, crawl: CrawlOption = None, reason: ReasonOption = None, host: HostOption = None,
    older_than: OlderOption = None, newer_than: NewerOption = None, limit: LimitOption = None, *,
    yes: YesOption = False, as_json: JsonOption = False, topology: TopologyOption = None, debug: DebugOption = False,
) -> None:  # fmt: skip
    """Drop dead letters for good. A URL among them that was still open ends with the outcome `dropped`."""
    asked = _asked(topology, debug, queue, crawl, _wanted(reason, host, older_than, newer_than), limit)

    command.run(PROGRAM, partial(_end, asked, dead_ends.drop, "Drop", yes=yes, as_json=as_json), debug=debug)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, and where."""

    topology: Topology
    queues: tuple[str, ...]
    wanted: Wanted
    limit: int | None

    async def search(self, broker: Broker, act: Act, *, batch: int = BATCH, quiet: bool) -> int:
        with _bar(quiet=quiet) as on_seen:
            return await search(
                self.topology, broker, self.queues, self.wanted, act, limit=self.limit, batch=batch, on_seen=on_seen
            )


def _asked(
    path: Path | None, debug: bool, queue: str | None, crawl: str | None, wanted: Wanted, limit: int | None,
    *, inboxes: bool = True,
) -> _Asked:  # fmt: skip
    topology = command.load_or_exit(PROGRAM, path, debug=debug).topology
    with command.reporting(PROGRAM, debug=debug):
        return _Asked(topology, queues_of(topology, pattern=queue, crawl=crawl, inboxes=inboxes), wanted, limit)


def _wanted(reason: str | None, host: str | None, older_than: float | None, newer_than: float | None) -> Wanted:
    now_ms = _now_ms()
    return Wanted(
        reason=reason,
        host=host,
        died_before_ms=None if older_than is None else now_ms - int(older_than * 1000),
        died_after_ms=None if newer_than is None else now_ms - int(newer_than * 1000),
    )


async def _end(asked: _Asked, end: dead_ends.End, verb: str, *, yes: bool, as_json: bool) -> int:
    """Ask, then end the letters; what was done by then is told even when it breaks off."""
    if not yes and not typer.confirm(f"{verb} {await _count(asked, quiet=as_json):,} dead letters?", err=True):
        print("nothing was changed")
        return ExitCode.USAGE
    ended = Ended()
    async with (
        opening.redis(asked.topology, PROGRAM) as redis,
        _broker(asked) as broker,
        AsyncExitStack() as stack,
    ):
        ledger_of = opening.QueueLedgers(asked.topology, redis, stack, consumer=opening.identity(PROGRAM))

        async def act(source: DeadQueue, held: Sequence[Held]) -> None:
            await end(held, source, broker=broker, ledger=await ledger_of(source.queue), ended=ended)

        try:
            await asked.search(broker, act, quiet=as_json)
        finally:
            print(json.dumps(ended.as_dict()) if as_json else dead_render.told(ended, replay=verb == "Replay"))
    return ExitCode.SOME_REJECTED if ended.skipped else ExitCode.DONE


async def _count(asked: _Asked, *, quiet: bool) -> int:
    """On a connection of its own: while the answer is awaited, nobody would send heartbeats."""

    async def nothing(_: DeadQueue, _held: Sequence[Held]) -> None:
        pass

    async with _broker(asked) as broker:
        return await asked.search(broker, nothing, quiet=quiet)


def _broker(asked: _Asked) -> AmqpBroker:
    return AmqpBroker(asked.topology.connection, name=PROGRAM)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[DeadQueue, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)

        def show(source: DeadQueue, seen: int) -> None:
            if seen % _SHOWN_EVERY == 0 or seen == source.expected:
                progress.update(task, description=source.queue, total=source.expected, completed=seen)

        yield show


def _canonical(letter: str) -> str:
    """A URL as messages carry it; anything else is taken for a message id."""
    try:
        return canonicalize(letter)
    except UrlInvalid:
        return letter


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
